/* What a verb that prints more than arrives ends with: a script must not take a part for the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/cli/verb.h"

/* Standard output for the time of a test: a pipe that nobody waits for. */
struct outlet {
	int kept; /* what it was before */
	int pipe[2];
};

static void outlet_open(struct outlet *outlet)
{
	fflush(stdout);
	outlet->kept = dup(STDOUT_FILENO);
	assert_true(outlet->kept >= 0);
	assert_int_equal(pipe2(outlet->pipe, O_NONBLOCK), 0);
	assert_int_equal(dup2(outlet->pipe[1], STDOUT_FILENO), STDOUT_FILENO);
	clearerr(stdout);
}

/* Takes out all that is in it; how much that was. */
static size_t outlet_drain(const struct outlet *outlet)
{
	char block[4096];
	size_t total = 0;
	ssize_t got;

	while ((got = read(outlet->pipe[0], block, sizeof(block))) > 0)
		total += (size_t)got;
	return total;
}

static void outlet_close(struct outlet *outlet)
{
	fflush(stdout);
	clearerr(stdout);
	assert_int_equal(dup2(outlet->kept, STDOUT_FILENO), STDOUT_FILENO);
	close(outlet->kept);
	close(outlet->pipe[0]);
	close(outlet->pipe[1]);
}

static void what_arrives_whole_is_a_success(void **state)
{
	struct outlet outlet;

	(void)state;
	outlet_open(&outlet);
	printf("one row\n");
	int status = verb_output_status();
	size_t arrived = outlet_drain(&outlet);
	outlet_close(&outlet);
	assert_int_equal(status, EXIT_SUCCESS);
	assert_int_equal(arrived, strlen("one row\n"));
}

static void a_part_that_is_lost_is_a_failure_though_the_last_one_arrives(void **state)
{
	struct outlet outlet;
	char block[4096];

	(void)state;
	memset(block, 'x', sizeof(block));
	outlet_open(&outlet);
	while (write(outlet.pipe[1], block, sizeof(block)) > 0)
		;
	for (int i = 0; i < 64; i++)
		printf("%.*s\n", (int)sizeof(block) - 1, block);
	outlet_drain(&outlet);
	printf("the last row\n");
	int status = verb_output_status();
	size_t arrived = outlet_drain(&outlet);
	outlet_close(&outlet);
	assert_true(arrived > 0);
	assert_int_equal(status, EXIT_FAILURE);
}

static void a_last_part_that_is_lost_is_a_failure(void **state)
{
	struct outlet outlet;
	char block[4096] = { 0 };

	(void)state;
	outlet_open(&outlet);
	while (write(outlet.pipe[1], block, sizeof(block)) > 0)
		;
	printf("the only row\n");
	int status = verb_output_status();
	outlet_drain(&outlet);
	outlet_close(&outlet);
	assert_int_equal(status, EXIT_FAILURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_arrives_whole_is_a_success),
		cmocka_unit_test(a_part_that_is_lost_is_a_failure_though_the_last_one_arrives),
		cmocka_unit_test(a_last_part_that_is_lost_is_a_failure),
	};

	return cmocka_run_group_tests_name("cli_output", tests, NULL, NULL);
}
