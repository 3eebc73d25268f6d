/* Database files of schema version 2, as the version before wrote them. */
#pragma once

struct clock;
struct error;

/* Runs the SQL (NULL: none) in the file, which is made with that schema where there is none. */
int version_2_write(const char *path, struct clock *clock, const char *sql, struct error *error);
