-- The newest schema, for a new file; older files come to the same by the steps in upgrade.c.
-- Beside "INTEGER PRIMARY KEY AUTOINCREMENT" all of it is understood by PostgreSQL too. Times are microseconds since 1970,
-- facts are 0 or 1, an empty text is "none" where the field cannot be absent. Ids are never given twice: watchers and logs
-- name rows by them after they are gone.

CREATE TABLE services (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid TEXT NOT NULL UNIQUE,
	"binary" TEXT NOT NULL,
	host TEXT NOT NULL,
	zone TEXT NOT NULL,
	is_disabled BIGINT NOT NULL,
	disabled_reason TEXT,
	is_forced_down BIGINT NOT NULL,
	is_up BIGINT NOT NULL,
	updated_us BIGINT NOT NULL,
	UNIQUE (host, "binary")
);

CREATE TABLE hosts (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL UNIQUE,
	service_id BIGINT NOT NULL UNIQUE REFERENCES services (id),
	uri TEXT,
	user_name TEXT,
	password_file TEXT,
	migration_address TEXT,
	migration_interface TEXT,
	tunnel_interface TEXT,
	interfaces TEXT,
	hypervisor_type TEXT,
	hypervisor_version BIGINT NOT NULL,
	host_ip TEXT,
	vcpus BIGINT NOT NULL,
	memory_mb BIGINT NOT NULL,
	disk_gb BIGINT NOT NULL,
	cpu_allocation_ratio DOUBLE PRECISION NOT NULL,
	ram_allocation_ratio DOUBLE PRECISION NOT NULL,
	disk_allocation_ratio DOUBLE PRECISION NOT NULL,
	reserved_memory_mb BIGINT NOT NULL,
	reserved_disk_gb BIGINT NOT NULL,
	failed_migrations BIGINT NOT NULL,
	cpu_info TEXT,
	facts TEXT,
	created_us BIGINT NOT NULL,
	updated_us BIGINT NOT NULL,
	is_gone BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE flavors (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	flavor_id TEXT NOT NULL,
	name TEXT NOT NULL,
	vcpus BIGINT NOT NULL,
	memory_mb BIGINT NOT NULL,
	disk_gb BIGINT NOT NULL,
	ephemeral_gb BIGINT NOT NULL,
	swap_mb BIGINT NOT NULL,
	extra_specs TEXT NOT NULL
);
CREATE INDEX flavors_name ON flavors (name, flavor_id);

CREATE TABLE servers (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid TEXT NOT NULL,
	name TEXT NOT NULL,
	instance_name TEXT NOT NULL,
	project_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	host_id BIGINT REFERENCES hosts (id),
	flavor_row BIGINT NOT NULL REFERENCES flavors (id),
	vm_state TEXT NOT NULL,
	task_state TEXT NOT NULL,
	power_state BIGINT NOT NULL,
	locked_by TEXT NOT NULL,
	locked_reason TEXT,
	old_vm_state TEXT NOT NULL,
	fault_code BIGINT NOT NULL,
	fault_message TEXT,
	fault_details TEXT,
	fault_created_us BIGINT NOT NULL,
	image_id TEXT NOT NULL,
	hostname TEXT NOT NULL,
	key_name TEXT NOT NULL,
	config_drive TEXT NOT NULL,
	availability_zone TEXT NOT NULL,
	reservation_id TEXT NOT NULL,
	root_device_name TEXT NOT NULL,
	description TEXT,
	user_data TEXT,
	metadata TEXT NOT NULL,
	system_metadata TEXT NOT NULL,
	tags TEXT NOT NULL,
	addresses TEXT NOT NULL,
	volumes TEXT NOT NULL,
	facts TEXT,
	progress BIGINT NOT NULL,
	created_us BIGINT NOT NULL,
	updated_us BIGINT NOT NULL,
	launched_us BIGINT NOT NULL,
	terminated_us BIGINT NOT NULL,
	is_deleted BIGINT NOT NULL,
	error_cause TEXT NOT NULL DEFAULT ''
);
-- A deleted guest's uuid may come back: only one living server has it.
CREATE UNIQUE INDEX servers_living_uuid ON servers (uuid) WHERE is_deleted = 0;
CREATE INDEX servers_uuid ON servers (uuid);
CREATE INDEX servers_created ON servers (created_us, id);
CREATE INDEX servers_project ON servers (project_id, created_us, id);
CREATE INDEX servers_host ON servers (host_id, created_us, id);
CREATE INDEX servers_vm_state ON servers (vm_state, created_us, id);
CREATE INDEX servers_task_state ON servers (task_state, created_us, id);
CREATE INDEX servers_updated ON servers (updated_us);

CREATE TABLE migrations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid TEXT NOT NULL UNIQUE,
	server_uuid TEXT NOT NULL,
	status TEXT NOT NULL,
	type TEXT NOT NULL,
	source_compute TEXT NOT NULL,
	source_node TEXT NOT NULL,
	dest_compute TEXT NOT NULL,
	dest_node TEXT NOT NULL,
	dest_host TEXT NOT NULL,
	old_flavor_id BIGINT NOT NULL,
	new_flavor_id BIGINT NOT NULL,
	user_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	memory_total BIGINT NOT NULL,
	memory_processed BIGINT NOT NULL,
	memory_remaining BIGINT NOT NULL,
	disk_total BIGINT NOT NULL,
	disk_processed BIGINT NOT NULL,
	disk_remaining BIGINT NOT NULL,
	is_hidden BIGINT NOT NULL,
	created_us BIGINT NOT NULL,
	updated_us BIGINT NOT NULL
);
CREATE INDEX migrations_created ON migrations (created_us, id);
CREATE INDEX migrations_server ON migrations (server_uuid, created_us, id);
CREATE INDEX migrations_status ON migrations (status, created_us, id);
CREATE INDEX migrations_type ON migrations (type, created_us, id);
CREATE INDEX migrations_source ON migrations (source_compute, created_us, id);
CREATE INDEX migrations_dest ON migrations (dest_compute, created_us, id);
CREATE INDEX migrations_project ON migrations (project_id, created_us, id);
CREATE INDEX migrations_user ON migrations (user_id, created_us, id);
CREATE INDEX migrations_updated ON migrations (updated_us);
-- Those under way, as db/migration_status.h lists them: a query must say the very same list.
CREATE INDEX migrations_moving_source ON migrations (source_compute) WHERE status IN
	('accepted', 'queued', 'preparing', 'pre-migrating', 'running', 'running (post-copy)', 'migrating',
	 'post-migrating', 'reverting');
CREATE INDEX migrations_moving_dest ON migrations (dest_compute) WHERE status IN
	('accepted', 'queued', 'preparing', 'pre-migrating', 'running', 'running (post-copy)', 'migrating',
	 'post-migrating', 'reverting');

CREATE TABLE jobs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	phase TEXT NOT NULL,
	server_uuid TEXT NOT NULL,
	migration_id BIGINT REFERENCES migrations (id),
	action_id BIGINT NOT NULL,
	request_id TEXT NOT NULL,
	source_host_id BIGINT NOT NULL,
	target_host_id BIGINT NOT NULL,
	requested_host TEXT NOT NULL,
	is_forced BIGINT NOT NULL,
	minor_version BIGINT NOT NULL,
	block_migration TEXT NOT NULL,
	disk_over_commit BIGINT NOT NULL,
	is_abort_requested BIGINT NOT NULL,
	is_force_complete_requested BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	state TEXT,
	verdict_status BIGINT NOT NULL,
	verdict_message TEXT,
	verdict_message_for_admins TEXT,
	is_waited_for BIGINT NOT NULL,
	owner TEXT NOT NULL,
	lease_until_us BIGINT NOT NULL,
	created_us BIGINT NOT NULL,
	updated_us BIGINT NOT NULL,
	finished_us BIGINT NOT NULL
);
CREATE INDEX jobs_migration ON jobs (migration_id);
CREATE INDEX jobs_action ON jobs (action_id);
-- A server has one unfinished job: two would work on the same guest.
CREATE UNIQUE INDEX jobs_unfinished ON jobs (server_uuid) WHERE finished_us = 0;

CREATE TABLE claims (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	host_id BIGINT NOT NULL REFERENCES hosts (id),
	server_uuid TEXT NOT NULL,
	migration_id BIGINT NOT NULL REFERENCES migrations (id),
	vcpus BIGINT NOT NULL,
	memory_mb BIGINT NOT NULL,
	disk_gb BIGINT NOT NULL
);
CREATE INDEX claims_host ON claims (host_id);
CREATE INDEX claims_migration ON claims (migration_id);

CREATE TABLE instance_actions (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	action TEXT NOT NULL,
	server_uuid TEXT NOT NULL,
	request_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	start_us BIGINT NOT NULL,
	finish_us BIGINT NOT NULL,
	updated_us BIGINT NOT NULL,
	message TEXT
);
CREATE INDEX instance_actions_server ON instance_actions (server_uuid, start_us, id);
CREATE INDEX instance_actions_request ON instance_actions (request_id, server_uuid);
CREATE INDEX instance_actions_updated ON instance_actions (updated_us);

CREATE TABLE instance_action_events (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	action_id BIGINT NOT NULL REFERENCES instance_actions (id),
	event TEXT NOT NULL,
	host TEXT NOT NULL,
	start_us BIGINT NOT NULL,
	finish_us BIGINT NOT NULL,
	result TEXT NOT NULL,
	traceback TEXT,
	details TEXT
);
CREATE INDEX instance_action_events_action ON instance_action_events (action_id);

CREATE TABLE volumes (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	job_id BIGINT NOT NULL REFERENCES jobs (id),
	host_id BIGINT NOT NULL REFERENCES hosts (id),
	pool TEXT NOT NULL,
	name TEXT NOT NULL,
	is_complete BIGINT NOT NULL,
	bytes BIGINT NOT NULL DEFAULT 0,
	UNIQUE (host_id, pool, name)
);
CREATE INDEX volumes_job ON volumes (job_id);
CREATE INDEX volumes_incomplete ON volumes (id) WHERE is_complete = 0;

CREATE TABLE kept_domains (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	host_id BIGINT NOT NULL REFERENCES hosts (id),
	server_uuid TEXT NOT NULL,
	migration_id BIGINT NOT NULL,
	definition TEXT,
	was_running BIGINT NOT NULL,
	had_autostart BIGINT NOT NULL
);
CREATE INDEX kept_domains_server ON kept_domains (server_uuid);
CREATE INDEX kept_domains_host ON kept_domains (host_id);
CREATE INDEX kept_domains_migration ON kept_domains (migration_id);

-- What remains to be done on a host after a migration: db/chores.h. It outlives its migration's row.
CREATE TABLE chores (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	host_id BIGINT NOT NULL REFERENCES hosts (id),
	server_uuid TEXT NOT NULL,
	migration_id BIGINT NOT NULL,
	other_host_id BIGINT NOT NULL,
	pool TEXT NOT NULL,
	name TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	is_complete BIGINT NOT NULL,
	reason TEXT NOT NULL,
	tries BIGINT NOT NULL,
	last_error TEXT,
	created_us BIGINT NOT NULL,
	updated_us BIGINT NOT NULL
);
CREATE INDEX chores_host ON chores (host_id);
CREATE INDEX chores_server ON chores (server_uuid);
CREATE UNIQUE INDEX chores_work ON chores (kind, host_id, server_uuid, pool, name);
