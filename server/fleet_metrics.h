/* What the hosts hold, as the scheduler sees it: sums over the fleet, and each host where there are not too many. */
#pragma once

#include <stdint.h>

struct text;
struct worker;

void fleet_metrics_write(struct worker *worker, int64_t hosts_max, struct text *text);
