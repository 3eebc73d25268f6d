/* One check at a time. The thread of the last one is joined when the next begins, or at the end. */
#include "server/admin_doctor.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/worker/invariants.h"

/* Discovery reads a host within a second of an event, and forgets a guest by two readings a second apart. */
#define PAUSE_MS 1500
#define LIMIT_MS 20000

struct admin_doctor {
	struct invariants_parts parts;
	atomic_bool is_ending;
	pthread_mutex_t mutex; /* guards all below */
	pthread_t thread;
	bool has_thread; /* to be joined */
	bool is_running;
	admin_doctor_fn on_end;
	void *context;
};

int admin_doctor_create(struct database *database, struct hypervisor *hypervisor, struct admin_doctor **ret_doctor,
			struct error *error)
{
	struct admin_doctor *doctor = calloc(1, sizeof(*doctor));

	if (!doctor)
		return error_no_memory(error);
	doctor->parts = (struct invariants_parts){ .database = database,
						   .hypervisor = hypervisor,
						   .pause_ms = PAUSE_MS,
						   .limit_ms = LIMIT_MS,
						   .is_ending = &doctor->is_ending };
	pthread_mutex_init(&doctor->mutex, NULL);
	*ret_doctor = doctor;
	return 0;
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *report_json(const struct invariants_report *report)
{
	json_t *findings = json_array();

	for (size_t i = 0; i < report->count; i++) {
		const struct invariants_finding *finding = &report->items[i];

		json_array_append_new(findings,
				      json_pack("{s:s, s:b, s:o, s:o, s:s, s:s}", "invariant", finding->invariant->name,
						"is_broken", finding->invariant->is_broken, "server",
						text_or_null(finding->server_uuid), "host", text_or_null(finding->host),
						"found", finding->found, "advice", finding->invariant->advice));
	}
	return json_pack("{s:o, s:I, s:I, s:I}", "findings", findings, "broken", (json_int_t)report->broken_count,
			 "hosts", (json_int_t)report->host_count, "servers", (json_int_t)report->server_count);
}

static void *check_thread(void *context)
{
	struct admin_doctor *doctor = context;
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	struct error error = { 0 };
	json_t *answer = NULL;

	if (invariants_check(&doctor->parts, &report, &error) == 0 && !(answer = report_json(&report)))
		error_no_memory(&error);
	/* Who has the answer may ask again at once. */
	pthread_mutex_lock(&doctor->mutex);
	admin_doctor_fn on_end = doctor->on_end;
	void *its_context = doctor->context;
	doctor->is_running = false;
	pthread_mutex_unlock(&doctor->mutex);
	on_end(its_context, answer, answer ? NULL : &error);
	return NULL;
}

int admin_doctor_begin(struct admin_doctor *doctor, admin_doctor_fn on_end, void *context, struct error *error)
{
	LOCK_SCOPE(&doctor->mutex);

	if (doctor->is_running)
		return error_set(error, EBUSY, "a check is under way already: ask again when it has ended");
	if (doctor->has_thread)
		pthread_join(doctor->thread, NULL);
	doctor->on_end = on_end;
	doctor->context = context;
	doctor->is_running = doctor->has_thread = pthread_create(&doctor->thread, NULL, check_thread, doctor) == 0;
	return doctor->has_thread ? 0 : error_set(error, EAGAIN, "cannot start a thread for the check");
}

void admin_doctor_destroy(struct admin_doctor *doctor)
{
	if (!doctor)
		return;
	atomic_store(&doctor->is_ending, true);
	if (doctor->has_thread) /* nobody begins another one */
		pthread_join(doctor->thread, NULL);
	pthread_mutex_destroy(&doctor->mutex);
	free(doctor);
}
