/* `migrationd serve` for a main of its own: the binary that tests build hears of the phases of its jobs. */
#pragma once

struct worker_observer;

/* What the verb does. `arguments` are those of `verb_serve`; `observer` is borrowed, NULL: none. The exit status. */
int command_serve(const void *arguments, const struct worker_observer *observer);
