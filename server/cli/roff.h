/* Text as roff, for manual pages: nothing that stands in a table can be taken for a request or an escape. */
#pragma once

struct text;

/* The words as they stand in running text; a line's first character is guarded by who begins the line. */
void roff_append(const char *words, struct text *text);
/* `.MACRO` with the words as its one argument. */
void roff_macro(const char *macro, const char *words, struct text *text);
/* Lines of running text, none longer than 80 bytes. */
void roff_paragraph(const char *words, struct text *text);
/* A line that stays as it is, in an example. */
void roff_verbatim(const char *line, struct text *text);
/* `.TP`, with the name in bold, its value in italics (NULL: none), and what it means. */
void roff_entry(const char *name, const char *value, const char *meaning, struct text *text);
