/* What goes wrong in the simulated fleet, by name: each fault is a row. It happens with the mutex held, between two calls. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

/* The place with its names resolved. */
struct scene {
	struct simulated_fleet *fleet;
	struct simulated_host *host;
	struct simulated_host *other; /* NULL: no host is meant by it */
	struct simulated_guest *guest; /* NULL: no guest is */
	const char *name; /* `other` as it was given */
	int number; /* of the row */
};

static int impossible(const struct scene *scene, struct error *error)
{
	return error_set(error, EINVAL, "that cannot happen on host %s as things are (simulated)", scene->host->name);
}

static int stop_libvirtd(const struct scene *scene, struct error *error)
{
	if (scene->host->libvirtd != SIMULATED_LIBVIRTD_RUNS)
		return impossible(scene, error);
	scene->host->libvirtd = SIMULATED_LIBVIRTD_STANDS;
	scene->host->stopped_ms = clock_monotonic_ms(scene->fleet->clock);
	scene->host->loses_calls = scene->number;
	return 0;
}

static int resume_libvirtd(const struct scene *scene, struct error *error)
{
	if (scene->host->libvirtd != SIMULATED_LIBVIRTD_STANDS)
		return impossible(scene, error);
	scene->host->libvirtd = SIMULATED_LIBVIRTD_RUNS;
	simulated_remove_halves(scene->fleet, scene->host);
	simulated_land(scene->fleet, scene->host, true);
	return 0;
}

static int kill_libvirtd(const struct scene *scene, struct error *error)
{
	if (scene->host->libvirtd == SIMULATED_LIBVIRTD_IS_DEAD)
		return impossible(scene, error);
	scene->host->is_gone = scene->number;
	simulated_libvirtd_dies(scene->fleet, scene->host);
	return 0;
}

static int start_libvirtd(const struct scene *scene, struct error *error)
{
	if (scene->host->libvirtd != SIMULATED_LIBVIRTD_IS_DEAD || scene->host->is_gone)
		return impossible(scene, error);
	scene->host->libvirtd = SIMULATED_LIBVIRTD_RUNS;
	simulated_note_news(scene->host, true);
	return 0;
}

static int replace_libvirtd(const struct scene *scene, struct error *error)
{
	struct simulated_host *host = scene->host;

	(void)error;
	simulated_libvirtd_dies(scene->fleet, host);
	while (host->guests)
		simulated_guest_remove(host, host->guests->uuid);
	simulated_drop_volumes(&host->volumes);
	host->libvirtd = SIMULATED_LIBVIRTD_RUNS;
	host->is_gone = false;
	host->pool = SIMULATED_POOL_WELL;
	simulated_note_news(host, true);
	return 0;
}

static int set_hand_over(const struct scene *scene, struct error *error)
{
	(void)error;
	scene->host->dies_at_hand_over = true;
	return 0;
}

static int cut_link(const struct scene *scene, struct error *error)
{
	struct simulated_cut *cut;

	if (simulated_is_link_cut(scene->fleet, scene->host, scene->other))
		return 0;
	cut = malloc(sizeof(*cut));
	if (!cut)
		return error_no_memory(error);
	*cut = (struct simulated_cut){ scene->host, scene->other, scene->fleet->cuts };
	scene->fleet->cuts = cut;
	return 0;
}

static int mend_link(const struct scene *scene, struct error *error)
{
	(void)error;
	for (struct simulated_cut **link = &scene->fleet->cuts; *link;) {
		struct simulated_cut *cut = *link;

		if ((cut->one == scene->host && cut->other == scene->other)
		    || (cut->one == scene->other && cut->other == scene->host)) {
			*link = cut->next;
			free(cut);
		} else {
			link = &cut->next;
		}
	}
	return 0;
}

static int set_our_link(const struct scene *scene, struct error *error)
{
	(void)error;
	scene->host->is_cut_from_us = scene->number;
	if (scene->number)
		simulated_cut_calls(scene->fleet, scene->host);
	simulated_note_news(scene->host, !scene->number);
	return 0;
}

static int set_hung(const struct scene *scene, struct error *error)
{
	if (!simulated_is_alive(scene->guest) && scene->guest->view.state != GUEST_ARRIVING)
		return impossible(scene, error);
	scene->guest->is_hung = scene->number;
	return 0;
}

static int kill_qemu(const struct scene *scene, struct error *error)
{
	if (!simulated_is_alive(scene->guest) && scene->guest->view.state != GUEST_ARRIVING)
		return impossible(scene, error);
	simulated_guest_end(scene->host, scene->guest, GUEST_CRASHED);
	return 0;
}

static int set_pool(const struct scene *scene, struct error *error)
{
	enum simulated_pool_state *pool = !scene->name || text_equal(scene->name, SIMULATED_POOL) ? &scene->host->pool
					  : text_equal(scene->name, SIMULATED_SHARED_POOL) ? &scene->host->shared_pool
											   : NULL;

	if (!pool)
		return error_set(error, ENOENT, "host %s has no active storage pool %.255s (simulated)",
				 scene->host->name, scene->name);
	*pool = (enum simulated_pool_state)scene->number;
	return 0;
}

static int lose_volume(const struct scene *scene, struct error *error)
{
	if (!scene->name || !simulated_volume_find(scene->host, false, scene->name))
		return error_set(error, ENOENT, "disk %s is not on host %s (simulated)", scene->name ? scene->name : "",
				 scene->host->name);
	simulated_volume_remove(scene->host, false, scene->name);
	return 0;
}

static int power_off(const struct scene *scene, struct error *error)
{
	return simulated_is_alive(scene->guest) ? (simulated_guest_end(scene->host, scene->guest, GUEST_SHUT_OFF), 0)
						: impossible(scene, error);
}

static int start(const struct scene *scene, struct error *error)
{
	unsigned int may = GUEST_SET_OFF | GUEST_SET(GUEST_PAUSED) | GUEST_SET(GUEST_SAVED);

	if (!(GUEST_SET(scene->guest->view.state) & may) || simulated_missing_disk(scene->host, scene->guest->uuid))
		return impossible(scene, error);
	simulated_enter_state(scene->host, scene->guest, GUEST_RUNNING);
	return 0;
}

static int suspend(const struct scene *scene, struct error *error)
{
	if (scene->guest->view.state != GUEST_RUNNING)
		return impossible(scene, error);
	scene->guest->view.state = GUEST_PAUSED;
	return 0;
}

static int undefine(const struct scene *scene, struct error *error)
{
	struct simulated_guest *guest = scene->guest;

	if (!guest->view.is_persistent)
		return impossible(scene, error);
	guest->view.is_persistent = false;
	guest->view.has_autostart = false;
	if (!simulated_is_alive(guest))
		simulated_guest_remove(scene->host, guest->uuid);
	return 0;
}

static int move_away(const struct scene *scene, struct error *error)
{
	struct simulated_host *from = scene->host, *to = scene->other;
	struct simulated_guest *guest = scene->guest, **link = &from->guests;

	if (from == to || simulated_guest_find(to, guest->uuid) || guest->view.state == GUEST_ARRIVING
	    || guest->view.state == GUEST_HANDED_OVER)
		return impossible(scene, error);
	while (*link != guest)
		link = &(*link)->next;
	*link = guest->next;
	guest->next = to->guests;
	to->guests = guest;
	guest->view.is_moving_out = false;
	simulated_carry_volumes(from, to, guest->uuid);
	if (guest->view.state == GUEST_RUNNING)
		simulated_touch(to, guest->uuid); /* it writes on */
	return 0;
}

static int hold_readings(const struct scene *scene, struct error *error)
{
	(void)error;
	scene->host->holds_readings = scene->number;
	return 0;
}

static int land_late(const struct scene *scene, struct error *error)
{
	return simulated_land(scene->fleet, scene->host, false) ? 0 : impossible(scene, error);
}

static const struct {
	const char *name;
	int (*happen)(const struct scene *scene, struct error *error);
	int number;
	bool has_guest, has_other;
} rows[SIMULATED_FAULT_MAX] = {
	[SIMULATED_LIBVIRTD_STOPS] = { "libvirtd_stops", stop_libvirtd, false },
	[SIMULATED_LIBVIRTD_STOPS_LOSING] = { "libvirtd_stops_losing", stop_libvirtd, true },
	[SIMULATED_LIBVIRTD_GOES_ON] = { "libvirtd_goes_on", resume_libvirtd },
	[SIMULATED_LIBVIRTD_DIES] = { "libvirtd_dies", kill_libvirtd, false },
	[SIMULATED_LIBVIRTD_STARTS] = { "libvirtd_starts", start_libvirtd },
	[SIMULATED_LIBVIRTD_IS_GONE] = { "libvirtd_is_gone", kill_libvirtd, true },
	[SIMULATED_LIBVIRTD_IS_REPLACED] = { "libvirtd_is_replaced", replace_libvirtd },
	[SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER] = { "libvirtd_dies_at_hand_over", set_hand_over },
	[SIMULATED_LINK_BREAKS] = { "link_breaks", cut_link, .has_other = true },
	[SIMULATED_LINK_IS_BACK] = { "link_is_back", mend_link, .has_other = true },
	[SIMULATED_OUR_LINK_BREAKS] = { "our_link_breaks", set_our_link, true },
	[SIMULATED_OUR_LINK_IS_BACK] = { "our_link_is_back", set_our_link, false },
	[SIMULATED_QEMU_HANGS] = { "qemu_hangs", set_hung, true, .has_guest = true },
	[SIMULATED_QEMU_GOES_ON] = { "qemu_goes_on", set_hung, false, .has_guest = true },
	[SIMULATED_QEMU_DIES] = { "qemu_dies", kill_qemu, .has_guest = true },
	[SIMULATED_POOL_IS_READ_ONLY] = { "pool_is_read_only", set_pool, SIMULATED_POOL_READ_ONLY },
	[SIMULATED_POOL_IS_FULL] = { "pool_is_full", set_pool, SIMULATED_POOL_FULL },
	[SIMULATED_POOL_IS_OFF] = { "pool_is_off", set_pool, SIMULATED_POOL_OFF },
	[SIMULATED_POOL_IS_WELL] = { "pool_is_well", set_pool, SIMULATED_POOL_WELL },
	[SIMULATED_VOLUME_GOES] = { "volume_goes", lose_volume },
	[SIMULATED_GUEST_POWERED_OFF] = { "guest_powered_off", power_off, .has_guest = true },
	[SIMULATED_GUEST_STARTED] = { "guest_started", start, .has_guest = true },
	[SIMULATED_GUEST_SUSPENDED] = { "guest_suspended", suspend, .has_guest = true },
	[SIMULATED_GUEST_UNDEFINED] = { "guest_undefined", undefine, .has_guest = true },
	[SIMULATED_GUEST_MOVED] = { "guest_moved", move_away, .has_guest = true, .has_other = true },
	[SIMULATED_READINGS_ARE_HELD] = { "readings_are_held", hold_readings, true },
	[SIMULATED_READINGS_GO_ON] = { "readings_go_on", hold_readings, false },
	[SIMULATED_LATE_CALLS_LAND] = { "late_calls_land", land_late },
};

bool simulated_fault_by_name(const char *name, enum simulated_fault *ret_fault)
{
	for (enum simulated_fault fault = 0; fault < SIMULATED_FAULT_MAX; fault++)
		if (text_equal(rows[fault].name, name)) {
			*ret_fault = fault;
			return true;
		}
	return false;
}

static int find_host(struct simulated_fleet *fleet, const char *name, struct simulated_host **ret_host,
		     struct error *error)
{
	*ret_host = name ? simulated_host_find(fleet, name) : NULL;
	return *ret_host ? 0 : error_set(error, ENOENT, "the simulated fleet has no host %.255s", name ? name : "");
}

static int set_scene(struct simulated_fleet *fleet, enum simulated_fault fault, const struct simulated_place *place,
		     struct scene *ret_scene, struct error *error)
{
	struct scene scene = { .fleet = fleet, .name = place->other, .number = rows[fault].number };
	int result = find_host(fleet, place->host, &scene.host, error);

	if (result == 0 && rows[fault].has_other)
		result = find_host(fleet, place->other, &scene.other, error);
	if (result < 0)
		return result;
	if (rows[fault].has_guest)
		scene.guest = place->uuid ? simulated_guest_find(scene.host, place->uuid) : NULL;
	if (rows[fault].has_guest && !scene.guest)
		return error_set(error, ENOENT, "host %s has no guest %.36s", scene.host->name,
				 place->uuid ? place->uuid : "");
	*ret_scene = scene;
	return 0;
}

int simulated_inject(struct hypervisor *self, enum simulated_fault fault, const struct simulated_place *place,
		     struct error *error)
{
	struct simulated_fleet *fleet = (struct simulated_fleet *)self;
	struct scene scene;

	pthread_mutex_lock(&fleet->mutex);
	simulated_settle(fleet); /* up to now it was not so */
	int result = set_scene(fleet, fault, place, &scene, error);
	if (result == 0)
		result = rows[fault].happen(&scene, error);
	simulated_settle(fleet);
	pthread_cond_broadcast(&fleet->changed);
	simulated_unlock(fleet);
	return result;
}

bool simulated_land_late(struct hypervisor *self, const char *host)
{
	return simulated_inject(self, SIMULATED_LATE_CALLS_LAND, &(struct simulated_place){ .host = host }, NULL) == 0;
}

int simulated_by_hand_power_off(struct hypervisor *self, const char *host, const char *uuid, struct error *error)
{
	return simulated_inject(self, SIMULATED_GUEST_POWERED_OFF,
				&(struct simulated_place){ .host = host, .uuid = uuid }, error);
}

int simulated_by_hand_start(struct hypervisor *self, const char *host, const char *uuid, struct error *error)
{
	return simulated_inject(self, SIMULATED_GUEST_STARTED, &(struct simulated_place){ .host = host, .uuid = uuid },
				error);
}

int simulated_by_hand_suspend(struct hypervisor *self, const char *host, const char *uuid, struct error *error)
{
	return simulated_inject(self, SIMULATED_GUEST_SUSPENDED,
				&(struct simulated_place){ .host = host, .uuid = uuid }, error);
}

int simulated_by_hand_undefine(struct hypervisor *self, const char *host, const char *uuid, struct error *error)
{
	return simulated_inject(self, SIMULATED_GUEST_UNDEFINED,
				&(struct simulated_place){ .host = host, .uuid = uuid }, error);
}

int simulated_by_hand_move(struct hypervisor *self, const char *from, const char *to, const char *uuid,
			   struct error *error)
{
	return simulated_inject(self, SIMULATED_GUEST_MOVED,
				&(struct simulated_place){ .host = from, .other = to, .uuid = uuid }, error);
}
