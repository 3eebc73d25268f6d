/* The process as the system sees it: Prometheus' own process_* families. */
#pragma once

struct text;

/* What the system does not tell is left out. */
void process_metrics_write(struct text *text);
