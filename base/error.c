/* The error object's few verbs. The one difficulty: nothing here may allocate, for errors are told when memory is short. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts a text that did not fit back to a whole UTF-8 character. */
static void cut_to_whole_character(char *text, size_t length)
{
	size_t end = length;

	while (end > 0 && ((unsigned char)text[end - 1] & 0xc0) == 0x80)
		end--;
	if (end > 0 && (unsigned char)text[end - 1] >= 0xc0)
		text[end - 1] = '\0';
}

__attribute__((format(printf, 2, 0))) static void fill(struct error *error, const char *format, va_list arguments)
{
	int length = vsnprintf(error->text, sizeof(error->text), format, arguments);

	if (length < 0)
		error->text[0] = '\0';
	else if ((size_t)length >= sizeof(error->text))
		cut_to_whole_character(error->text, sizeof(error->text) - 1);
}

int error_set(struct error *error, int code, const char *format, ...)
{
	if (error) {
		va_list arguments;

		error->code = code;
		va_start(arguments, format);
		fill(error, format, arguments);
		va_end(arguments);
	}
	return -code;
}

int error_set_errno(struct error *error, int code, const char *format, ...)
{
	if (error) {
		char words[128];
		va_list arguments;

		error->code = code;
		va_start(arguments, format);
		fill(error, format, arguments);
		va_end(arguments);

		size_t length = strlen(error->text);
		snprintf(error->text + length, sizeof(error->text) - length, ": %s",
			 strerror_r(code, words, sizeof(words)));
	}
	return -code;
}

int error_wrap(struct error *error, const char *format, ...)
{
	if (!error)
		return -EIO;

	char before[ERROR_TEXT_SIZE];
	va_list arguments;

	memcpy(before, error->text, sizeof(before));
	va_start(arguments, format);
	fill(error, format, arguments);
	va_end(arguments);

	size_t length = strlen(error->text);
	int added = snprintf(error->text + length, sizeof(error->text) - length, ": %s", before);
	if (added >= 0 && length + (size_t)added >= sizeof(error->text))
		cut_to_whole_character(error->text, sizeof(error->text) - 1);
	return error->code > 0 ? -error->code : -EIO;
}

int error_no_memory(struct error *error)
{
	return error_set(error, ENOMEM, "out of memory");
}

void error_clear(struct error *error)
{
	if (error) {
		error->code = 0;
		error->text[0] = '\0';
	}
}
