/* Hosts registered by the configuration and over the operator's socket, against a real database. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "db/statement.h"
#include "server/admin_socket.h"
#include "server/registry.h"
#include "server/worker/simulated/fleet.h"

/* Nothing is said about all hosts. */
static const struct fleet_settings fleet_settings;

/* What the socket's other end is told to be. */
static atomic_uint pretended_user;

/* In the library's stead; 0: the truth. */
int getsockopt(int fd, int level, int name, void *optval, socklen_t *optlen)
{
	int result = (int)syscall(SYS_getsockopt, fd, level, name, optval, optlen);

	if (result == 0 && name == SO_PEERCRED && atomic_load(&pretended_user))
		((struct ucred *)optval)->uid = atomic_load(&pretended_user);
	return result;
}

struct fixture {
	char folder[64];
	char *socket_path;
	struct database *database;
	struct admin_socket *admin;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error error = { 0 };

	atomic_store(&pretended_user, 0);
	TEXT_COPY(fixture->folder, "/tmp/test_admin.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	fixture->socket_path = text_format("%s/admin.sock", fixture->folder);
	CLEANUP_FREE char *path = text_format("%s/test.db", fixture->folder);
	assert_int_equal(db_open(path, clock_system(), NULL, &fixture->database, &error), 0);
	assert_int_equal(
		admin_socket_start(fixture->socket_path, &(struct admin_socket_parts){ .database = fixture->database },
				   &(struct registry_settings){ .fleet = &fleet_settings }, &fixture->admin, &error),
		0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *command = text_format("rm -r '%s'", fixture->folder);

	admin_socket_stop(fixture->admin);
	db_close(fixture->database);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	free(fixture->socket_path);
	free(fixture);
	return 0;
}

static char *ask_at(const char *path, const char *request, int limit_s)
{
	struct error error = { 0 };
	char *answer = NULL;

	if (admin_socket_ask_within(path, request, limit_s, &answer, &error) < 0)
		fail_msg("%s", error.text);
	return answer;
}

static void *ask_doctor(void *path)
{
	return ask_at(path, "{\"verb\": \"doctor\"}", 30);
}

static int insert_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_insert(session, context, error);
}

/* One that answers. */
static void add_host(struct fixture *fixture, const char *name)
{
	struct db_host host = { .service = { .is_up = true } };
	struct error error = { 0 };

	TEXT_COPY(host.name, name);
	assert_int_equal(db_write(fixture->database, insert_host, &host, &error), 0);
}

static char *ask(struct fixture *fixture, const char *request)
{
	struct error error = { 0 };
	char *answer = NULL;

	assert_int_equal(admin_socket_ask(fixture->socket_path, request, &answer, &error), 0);
	return answer;
}

static void read_host(struct fixture *fixture, const char *name, int expected, struct db_host *ret_host)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error error = { 0 };

	assert_int_equal(db_read_begin(fixture->database, &session, &error), 0);
	assert_int_equal(db_host_by_name(session, name, ret_host, &error), expected);
}

static void an_added_host_is_listed_until_it_is_removed(void **state)
{
	CLEANUP_FREE char *added =
		ask(*state, "{\"verb\": \"host add\", \"name\": \"compute-1\", \"uri\": "
			    "\"qemu+tcp://127.1.0.1/session\", \"migration_address\": \"127.2.0.1\"}");
	assert_string_equal(added, "{}");
	CLEANUP_FREE char *listed = ask(*state, "{\"verb\": \"host list\"}");
	assert_non_null(strstr(listed, "compute-1"));
	assert_non_null(strstr(listed, "127.2.0.1"));
	CLEANUP_FREE char *removed = ask(*state, "{\"verb\": \"host remove\", \"name\": \"compute-1\"}");
	assert_string_equal(removed, "{}");
	CLEANUP_FREE char *empty = ask(*state, "{\"verb\": \"host list\"}");
	assert_string_equal(empty, "{\"hosts\":[]}");
}

static int set_down(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, context, &host, error);

	host.service.is_up = false;
	return result < 0 ? result : db_service_update(session, &host.service, error);
}

static int set_up_again(struct db_session *session, void *context, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, context, &host, error);

	host.service.is_up = true;
	return result < 0 ? result : db_service_update(session, &host.service, error);
}

static void a_host_is_given_up_only_while_it_is_down(void **state)
{
	struct fixture *fixture = *state;
	struct error error = { 0 };
	char name[] = "compute-1";
	CLEANUP_FREE char *added = ask(fixture, "{\"verb\": \"host add\", \"name\": \"compute-1\", \"uri\": "
						"\"qemu+tcp://127.1.0.1/session\"}");
	assert_int_equal(db_write(fixture->database, set_up_again, name, &error), 0);
	CLEANUP_FREE char *refused =
		ask(fixture, "{\"verb\": \"host remove\", \"name\": \"compute-1\", \"is_gone\": true}");
	assert_non_null(strstr(refused, "409"));
	assert_int_equal(db_write(fixture->database, set_down, name, &error), 0);
	CLEANUP_FREE char *shown = ask(fixture, "{\"verb\": \"host show\", \"name\": \"compute-1\"}");
	assert_non_null(strstr(shown, "\"state\":\"down\""));
	assert_non_null(strstr(shown, "\"servers\":0,"));
	assert_non_null(strstr(shown, "\"chores\":[],\"waiting_jobs\":[]"));
	CLEANUP_FREE char *given_up =
		ask(fixture, "{\"verb\": \"host remove\", \"name\": \"compute-1\", \"is_gone\": true}");
	assert_string_equal(given_up, "{}");
	CLEANUP_DB_HOST struct db_host host = { 0 };
	read_host(fixture, name, 0, &host);
	assert_true(host.is_gone);
	CLEANUP_FREE char *gone = ask(fixture, "{\"verb\": \"host show\", \"name\": \"compute-1\"}");
	assert_non_null(strstr(gone, "\"state\":\"gone\""));
	CLEANUP_FREE char *missing =
		ask(fixture, "{\"verb\": \"host show\", \"name\": \"none\", \"may_be_missing\": true}");
	assert_string_equal(missing, "{\"host\":null}");
}

static void a_disabled_host_tells_why_until_it_is_enabled(void **state)
{
	CLEANUP_FREE char *added = ask(*state, "{\"verb\": \"host add\", \"name\": \"compute-1\", \"uri\": "
					       "\"qemu+tcp://127.1.0.1/session\"}");
	assert_string_equal(added, "{}");
	CLEANUP_FREE char *disabled =
		ask(*state, "{\"verb\": \"host disable\", \"name\": \"compute-1\", \"reason\": \"memory\"}");
	assert_string_equal(disabled, "{}");
	{
		CLEANUP_DB_HOST struct db_host host = { 0 };

		read_host(*state, "compute-1", 0, &host);
		assert_true(host.service.is_disabled);
		assert_string_equal(host.service.disabled_reason, "memory");
	}
	CLEANUP_FREE char *listed = ask(*state, "{\"verb\": \"host list\"}");
	assert_non_null(strstr(listed, "\"status\":\"disabled\",\"disabled_reason\":\"memory\""));
	CLEANUP_FREE char *enabled = ask(*state, "{\"verb\": \"host enable\", \"name\": \"compute-1\"}");
	assert_string_equal(enabled, "{}");

	CLEANUP_DB_HOST struct db_host host = { 0 };
	read_host(*state, "compute-1", 0, &host);
	assert_false(host.service.is_disabled);
	assert_null(host.service.disabled_reason);

	CLEANUP_FREE char *unknown = ask(*state, "{\"verb\": \"host disable\", \"name\": \"none\"}");
	assert_non_null(strstr(unknown, "404"));
	CLEANUP_FREE char *nameless = ask(*state, "{\"verb\": \"host enable\"}");
	assert_non_null(strstr(nameless, "400"));
}

/* What is not said of it is the scheduler's to say. */
static void an_added_host_reserves_what_the_scheduler_says(void **state)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	CLEANUP_FREE char *added =
		ask(*state, "{\"verb\": \"host add\", \"name\": \"compute-1\", \"uri\": \"qemu:///system\"}");

	assert_string_equal(added, "{}");
	read_host(*state, "compute-1", 0, &host);
	assert_int_equal(host.reserved_memory_mb, -1);
	assert_int_equal(host.reserved_disk_gb, -1);
	assert_false(host.cpu_allocation_ratio > 0 || host.ram_allocation_ratio > 0 || host.disk_allocation_ratio > 0);
}

static void a_listed_host_tells_whether_it_answers_and_may_be_used(void **state)
{
	add_host(*state, "up");
	CLEANUP_FREE char *up = ask(*state, "{\"verb\": \"host list\"}");
	CLEANUP_FREE char *off =
		ask(*state, "{\"verb\": \"host disable\", \"name\": \"up\", \"reason\": \"new disk\"}");
	CLEANUP_FREE char *disabled = ask(*state, "{\"verb\": \"host list\"}");
	CLEANUP_FREE char *removed = ask(*state, "{\"verb\": \"host remove\", \"name\": \"up\"}");
	CLEANUP_FREE char *added =
		ask(*state, "{\"verb\": \"host add\", \"name\": \"new\", \"uri\": \"qemu:///system\"}");
	CLEANUP_FREE char *down = ask(*state, "{\"verb\": \"host list\"}");

	assert_string_equal(off, "{}");
	assert_string_equal(removed, "{}");
	assert_string_equal(added, "{}");
	assert_string_equal(up, "{\"hosts\":[{\"name\":\"up\",\"uri\":null,\"migration_address\":null,\"state\":\"up\","
				"\"status\":\"enabled\",\"disabled_reason\":null}]}");
	assert_string_equal(disabled, "{\"hosts\":[{\"name\":\"up\",\"uri\":null,\"migration_address\":null,\"state\":"
				      "\"up\",\"status\":\"disabled\",\"disabled_reason\":\"new disk\"}]}");
	assert_string_equal(down, "{\"hosts\":[{\"name\":\"new\",\"uri\":\"qemu:///system\",\"migration_address\":null,"
				  "\"state\":\"down\",\"status\":\"enabled\",\"disabled_reason\":null}]}");
}

static int hide_hosts(struct db_session *session, void *context, struct error *error)
{
	(void)context;
	return statement_execute(session, "ALTER TABLE hosts RENAME TO hidden", error);
}

static void a_database_that_cannot_be_read_is_told_to_who_asks(void **state)
{
	static const char *const requests[] = {
		"{\"verb\": \"host list\"}", "{\"verb\": \"host show\", \"name\": \"a\"}",
		"{\"verb\": \"host show\", \"name\": \"a\", \"may_be_missing\": true}"
	};
	struct fixture *fixture = *state;
	struct error error = { 0 };

	assert_int_equal(db_write(fixture->database, hide_hosts, NULL, &error), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_FREE char *answer = ask(fixture, requests[i]);

		assert_non_null(strstr(answer, "no such table"));
		assert_null(strstr(answer, "\"hosts\":")); /* nor half an answer */
		assert_non_null(strstr(answer, "\"code\":500"));
	}
}

static void a_name_is_taken_once(void **state)
{
	const char *request =
		"{\"verb\": \"host add\", \"name\": \"compute-1\", \"uri\": \"qemu+tcp://127.1.0.1/session\"}";
	CLEANUP_FREE char *first = ask(*state, request);
	CLEANUP_FREE char *second = ask(*state, request);

	assert_string_equal(first, "{}");
	assert_non_null(strstr(second, "error"));
	assert_non_null(strstr(second, "compute-1"));
}

static void a_request_of_no_good_form_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *request, *words;
	} cases[] = {
		{ "nonsense", "no JSON object" },
		{ "[]", "no JSON object" },
		{ "{}", "knows no verb" },
		{ "{\"verb\": \"ping\", \"verb\": \"host list\"}", "no JSON object" },
		{ "{\"verb\": \"host add\", \"name\": \"\", \"uri\": \"test:///a\"}", "a name and a URI" },
		{ "{\"verb\": \"host add\", \"name\": \"a\"}", "a name and a URI" },
		{ "{\"verb\": \"host add\", \"name\": \"a b\", \"uri\": \"qemu+tcp://127.1.0.1/session\"}",
		  "name must be" },
		{ "{\"verb\": \"host add\", \"name\": \"a\", \"uri\": \"not a uri\"}", "URI of host a must be" },
		{ "{\"verb\": \"host remove\", \"name\": \"none\"}", "none" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_FREE char *answer = ask(*state, cases[i].request);

		if (!strstr(answer, "\"error\"") || !strstr(answer, cases[i].words))
			fail_msg("%s was answered by %s", cases[i].request, answer);
	}
}

/* A fleet of one host behind a second socket, whose doctor hangs at that host until the socket is stopped. */
static void a_check_holds_nobody_up_and_ends_with_the_socket(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *path = text_format("%s/second.sock", fixture->folder);
	struct hypervisor *fleet = NULL;
	struct admin_socket *admin = NULL;
	struct error error = { 0 };
	pthread_t thread;

	add_host(fixture, "compute-1");
	assert_int_equal(simulated_create(clock_system(), &fleet, &error), 0);
	assert_int_equal(simulated_add_host(fleet, "compute-1", &error), 0);
	assert_int_equal(
		admin_socket_start(path,
				   &(struct admin_socket_parts){ .database = fixture->database, .hypervisor = fleet },
				   &(struct registry_settings){ .fleet = &fleet_settings }, &admin, &error),
		0);
	assert_true(simulated_hang_next(fleet, "compute-1", "list_guests", SIMULATED_LANDS_NEVER));
	assert_int_equal(pthread_create(&thread, NULL, ask_doctor, path), 0);
	simulated_wait_hung(fleet, "compute-1");
	CLEANUP_FREE char *second = ask_at(path, "{\"verb\": \"doctor\"}", 5);
	assert_non_null(strstr(second, "\"code\":409"));
	CLEANUP_FREE char *ping = ask_at(path, "{\"verb\": \"ping\"}", 5);
	assert_string_equal(ping, "{\"port\":0}");
	admin_socket_stop(admin);
	void *answer = NULL;
	pthread_join(thread, &answer);
	assert_non_null(strstr(answer, "\"code\":500"));
	free(answer);
	fleet->operations->destroy(fleet);
}

/* Who has the answer may ask again: the check before has ended then. */
static void the_doctor_can_be_asked_again_at_once(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *path = text_format("%s/second.sock", fixture->folder);
	struct hypervisor *fleet = NULL;
	struct admin_socket *admin = NULL;
	struct error error = { 0 };

	add_host(fixture, "compute-1");
	assert_int_equal(simulated_create(clock_system(), &fleet, &error), 0);
	assert_int_equal(simulated_add_host(fleet, "compute-1", &error), 0);
	assert_int_equal(
		admin_socket_start(path,
				   &(struct admin_socket_parts){ .database = fixture->database, .hypervisor = fleet },
				   &(struct registry_settings){ .fleet = &fleet_settings }, &admin, &error),
		0);
	for (int i = 0; i < 1000; i++) {
		CLEANUP_FREE char *answer = ask_at(path, "{\"verb\": \"doctor\"}", 20);

		assert_string_equal(answer, "{\"findings\":[],\"broken\":0,\"hosts\":1,\"servers\":0}");
	}
	admin_socket_stop(admin);
	fleet->operations->destroy(fleet);
}

static void the_doctor_tells_what_is_broken_with_what_to_do(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *path = text_format("%s/second.sock", fixture->folder);
	struct hypervisor *fleet = NULL;
	struct admin_socket *admin = NULL;
	struct error error = { 0 };

	add_host(fixture, "compute-1");
	assert_int_equal(simulated_create(clock_system(), &fleet, &error), 0);
	assert_int_equal(simulated_add_host(fleet, "compute-1", &error), 0);
	assert_int_equal(
		admin_socket_start(path,
				   &(struct admin_socket_parts){ .database = fixture->database, .hypervisor = fleet },
				   &(struct registry_settings){ .fleet = &fleet_settings }, &admin, &error),
		0);
	CLEANUP_FREE char *sound = ask_at(path, "{\"verb\": \"doctor\"}", 5);
	assert_string_equal(sound, "{\"findings\":[],\"broken\":0,\"hosts\":1,\"servers\":0}");
	assert_int_equal(simulated_put_guest(fleet, "compute-1", "11111111-1111-4111-8111-111111111111",
					     GUEST_HANDED_OVER, 1024, &error),
			 0);
	CLEANUP_FREE char *broken = ask_at(path, "{\"verb\": \"doctor\"}", 20);
	assert_non_null(strstr(broken, "\"broken\":1"));
	assert_non_null(strstr(broken, "\"invariant\":\"halves-are-known\",\"is_broken\":true,"
				       "\"server\":\"11111111-1111-4111-8111-111111111111\",\"host\":\"compute-1\""));
	assert_non_null(strstr(broken, "\"advice\":\"See with virsh list"));
	admin_socket_stop(admin);
	fleet->operations->destroy(fleet);
}

static void only_the_owner_may_reach_the_socket(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;

	assert_int_equal(stat(fixture->socket_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_second_daemon_does_not_take_the_socket_away(void **state)
{
	struct fixture *fixture = *state;
	struct admin_socket *second = NULL;
	struct error error = { 0 };

	assert_int_equal(admin_socket_start(fixture->socket_path,
					    &(struct admin_socket_parts){ .database = fixture->database },
					    &(struct registry_settings){ .fleet = &fleet_settings }, &second, &error),
			 -EADDRINUSE);
	CLEANUP_FREE char *answer = ask(fixture, "{\"verb\": \"host list\"}");
	assert_string_equal(answer, "{\"hosts\":[]}");
}

/* A second socket beside the fixture's; NULL, with the error, when it cannot be. */
static struct admin_socket *start_at(struct fixture *fixture, const char *path, struct error *error)
{
	const struct admin_socket_parts parts = { .database = fixture->database };
	struct admin_socket *admin = NULL;
	int result = admin_socket_start(path, &parts, &(struct registry_settings){ .fleet = &fleet_settings }, &admin,
					error);

	assert_int_equal(result, result < 0 ? -error->code : 0);
	return admin;
}

/* A socket to that path, connected (or else bound there). */
static int open_socket(const char *path, bool is_connected)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(TEXT_COPY(address.sun_path, path));
	int result = is_connected ? connect(descriptor, (struct sockaddr *)&address, sizeof(address))
				  : bind(descriptor, (struct sockaddr *)&address, sizeof(address));
	assert_int_equal(result, 0);
	return descriptor;
}

static void a_socket_that_a_killed_daemon_left_is_taken_over_and_goes_at_the_end(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *path = text_format("%s/left.sock", fixture->folder);
	struct error error = { 0 };
	struct stat status;

	close(open_socket(path, false));
	assert_int_equal(chmod(path, 0777), 0);
	struct admin_socket *admin = start_at(fixture, path, &error);
	assert_non_null(admin);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	CLEANUP_FREE char *answer = ask_at(path, "{\"verb\": \"host list\"}", 5);
	assert_string_equal(answer, "{\"hosts\":[]}");
	admin_socket_stop(admin);
	assert_int_equal(stat(path, &status), -1);
}

static void what_is_no_socket_stays_where_it_is(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *file = text_format("%s/file", fixture->folder);
	CLEANUP_FREE char *left = text_format("%s/left.sock", fixture->folder);
	CLEANUP_FREE char *link = text_format("%s/link", fixture->folder);
	CLEANUP_FREE char *socket_link = text_format("%s/socket-link", fixture->folder);
	const char *const paths[] = { file, link, socket_link, fixture->folder };
	struct stat status;

	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	close(open_socket(left, false));
	assert_int_equal(symlink(file, link), 0);
	assert_int_equal(symlink(left, socket_link), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		struct error error = { 0 };

		assert_null(start_at(fixture, paths[i], &error));
		assert_int_equal(error.code, EINVAL);
		assert_non_null(strstr(error.text, paths[i]));
		assert_int_equal(lstat(paths[i], &status), 0);
	}
}

static void a_socket_that_cannot_be_made_is_told_with_its_path(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *nowhere = text_format("%s/none/admin.sock", fixture->folder);
	struct error error = { 0 };

	assert_null(start_at(fixture, nowhere, &error));
	assert_int_equal(error.code, ENOENT);
	assert_non_null(strstr(error.text, nowhere));
	for (int length = 107; length <= 108; length++) { /* of which the kernel takes 107 */
		CLEANUP_FREE char *path =
			text_format("%s/%0*d", fixture->folder, length - (int)strlen(fixture->folder) - 1, 0);
		struct admin_socket *admin = start_at(fixture, path, &error);

		assert_int_equal(admin != NULL, length == 107);
		admin_socket_stop(admin);
	}
	assert_int_equal(error.code, ENAMETOOLONG);
}

static void only_root_and_the_daemons_own_user_are_answered(void **state)
{
	atomic_store(&pretended_user, geteuid() + 1);
	CLEANUP_FREE char *refused = ask(*state, "{\"verb\": \"host list\"}");
	atomic_store(&pretended_user, geteuid());
	CLEANUP_FREE char *answered = ask(*state, "{\"verb\": \"host list\"}");
	atomic_store(&pretended_user, 0);

	assert_string_equal(refused, "{\"error\": \"only root may speak here\"}");
	assert_string_equal(answered, "{\"hosts\":[]}");
}

/* Also by the time at which the question comes the other end is gone. */
static void who_is_refused_hears_why_however_late_the_question_is(void **state)
{
	struct fixture *fixture = *state;

	atomic_store(&pretended_user, geteuid() + 1);
	for (int i = 0; i < 200; i++) {
		CLEANUP_FREE char *refused = ask(fixture, "{\"verb\": \"host list\"}");

		assert_string_equal(refused, "{\"error\": \"only root may speak here\"}");
	}
}

static void a_request_that_is_too_long_is_not_answered(void **state)
{
	struct fixture *fixture = *state;

	for (int length = 65536; length <= 65537; length++) {
		CLEANUP_FREE char *line = text_format("{\"verb\": \"%0*d\"}", length - 12, 0);
		CLEANUP_FREE char *answer = NULL;
		struct error error = { 0 };

		assert_int_equal(strlen(line), length);
		int result = admin_socket_ask_within(fixture->socket_path, line, 10, &answer, &error);
		assert_int_equal(result == 0, length == 65536);
	}
}

static void a_client_that_says_nothing_holds_the_others_up_for_seconds_at_most(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_CLOSE int silent = open_socket(fixture->socket_path, true);
	CLEANUP_FREE char *answer = ask_at(fixture->socket_path, "{\"verb\": \"host list\"}", 30);
	char byte;

	assert_string_equal(answer, "{\"hosts\":[]}");
	assert_int_equal(recv(silent, &byte, 1, 0), 0);
}

static void a_reason_has_255_bytes_at_most(void **state)
{
	add_host(*state, "compute-1");
	for (int length = 255; length <= 256; length++) {
		CLEANUP_FREE char *request = text_format(
			"{\"verb\": \"host disable\", \"name\": \"compute-1\", \"reason\": \"%0*d\"}", length, 0);
		CLEANUP_FREE char *answer = ask(*state, request);

		if (length == 255)
			assert_string_equal(answer, "{}");
		else
			assert_non_null(strstr(answer, "longer than 255 bytes"));
	}
}

static void the_settings_of_a_configuration_that_was_read_anew_count(void **state)
{
	static const char request[] =
		"{\"verb\": \"host add\", \"name\": \"compute-1\", \"uri\": \"qemu+tcp://127.1.0.1/session\"}";
	struct fixture *fixture = *state;

	admin_socket_renew(fixture->admin,
			   &(struct registry_settings){ .fleet = &fleet_settings, .demands_tls = true });
	CLEANUP_FREE char *refused = ask(fixture, request);
	admin_socket_renew(fixture->admin, &(struct registry_settings){ .fleet = &fleet_settings });
	CLEANUP_FREE char *taken = ask(fixture, request);

	assert_non_null(strstr(refused, "\"error\""));
	assert_string_equal(taken, "{}");
}

static void a_ping_tells_the_port_that_is_listened_on(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_FREE char *before = ask(fixture, "{\"verb\": \"ping\"}");

	admin_socket_set_port(fixture->admin, 8774);
	CLEANUP_FREE char *after = ask(fixture, "{\"verb\": \"ping\"}");
	assert_string_equal(before, "{\"port\":0}");
	assert_string_equal(after, "{\"port\":8774}");
}

static void the_configuration_is_loaded_again_without_losing_what_an_operator_set(void **state)
{
	struct fixture *fixture = *state;
	struct host_settings host = { .name = "compute-1",
				      .uri = "qemu+tcp://127.1.0.1/session",
				      .reserved_memory_mb = -1,
				      .reserved_disk_mb = -1 };
	CLEANUP_DB_HOST struct db_host before = { 0 };
	CLEANUP_DB_HOST struct db_host after = { 0 };
	CLEANUP_DB_SERVICES struct db_service_list services = { 0 };
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error error = { 0 };

	assert_int_equal(registry_load(fixture->database,
				       &(struct registry_settings){ &host, 1, &fleet_settings, "controller", false },
				       &error),
			 0);
	read_host(fixture, "compute-1", 0, &before);
	host.uri = "qemu+tls://127.1.0.1/session";
	host.reserved_disk_mb = 1;
	assert_int_equal(registry_load(fixture->database,
				       &(struct registry_settings){ &host, 1, &fleet_settings, "controller", false },
				       &error),
			 0);
	read_host(fixture, "compute-1", 0, &after);
	assert_int_equal(after.id, before.id);
	assert_string_equal(after.uuid, before.uuid);
	assert_string_equal(after.uri, "qemu+tls://127.1.0.1/session");
	assert_int_equal(before.reserved_disk_gb, -1);
	assert_int_equal(after.reserved_disk_gb, 1);
	assert_int_equal(db_read_begin(fixture->database, &session, &error), 0);
	assert_int_equal(db_service_all(session, &services, &error), 0);
	assert_int_equal(services.count, 3); /* conductor, scheduler, compute: once each */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_host_is_given_up_only_while_it_is_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_added_host_is_listed_until_it_is_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_disabled_host_tells_why_until_it_is_enabled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_added_host_reserves_what_the_scheduler_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_listed_host_tells_whether_it_answers_and_may_be_used, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_database_that_cannot_be_read_is_told_to_who_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_name_is_taken_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_request_of_no_good_form_is_refused_with_the_reason, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_check_holds_nobody_up_and_ends_with_the_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_doctor_can_be_asked_again_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_doctor_tells_what_is_broken_with_what_to_do, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_the_owner_may_reach_the_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_daemon_does_not_take_the_socket_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_socket_that_a_killed_daemon_left_is_taken_over_and_goes_at_the_end,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_socket_stays_where_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_socket_that_cannot_be_made_is_told_with_its_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_root_and_the_daemons_own_user_are_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_refused_hears_why_however_late_the_question_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_request_that_is_too_long_is_not_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_client_that_says_nothing_holds_the_others_up_for_seconds_at_most,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reason_has_255_bytes_at_most, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_settings_of_a_configuration_that_was_read_anew_count, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_ping_tells_the_port_that_is_listened_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_configuration_is_loaded_again_without_losing_what_an_operator_set,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
