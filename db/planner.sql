-- What SQLite's planner shall believe about the tables: a large fleet of even shape. Without it, it takes the state of a
-- server for as selective as its host; with real statistics, plans would change from one day to the next.
-- Each row: rows of the table, then rows for each value of the index's first column, first two columns, and so on.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
	('services', NULL, '10000'),
	('hosts', NULL, '10000'),
	('flavors', 'flavors_name', '100 2 1'),
	('servers', 'servers_living_uuid', '200000 1'),
	('servers', 'servers_uuid', '200000 1'),
	('servers', 'servers_created', '200000 2 1'),
	('servers', 'servers_project', '200000 400 1 1'),
	('servers', 'servers_host', '200000 20 1 1'),
	('servers', 'servers_vm_state', '200000 40000 1 1'),
	('servers', 'servers_task_state', '200000 20000 1 1'),
	('servers', 'servers_updated', '200000 2'),
	('migrations', 'migrations_created', '1000000 2 1'),
	('migrations', 'migrations_server', '1000000 5 1 1'),
	('migrations', 'migrations_status', '1000000 80000 1 1'),
	('migrations', 'migrations_type', '1000000 250000 1 1'),
	('migrations', 'migrations_source', '1000000 100 1 1'),
	('migrations', 'migrations_dest', '1000000 100 1 1'),
	('migrations', 'migrations_project', '1000000 2000 1 1'),
	('migrations', 'migrations_user', '1000000 1500 1 1'),
	('migrations', 'migrations_updated', '1000000 2'),
	('migrations', 'migrations_moving_source', '200 2'),
	('migrations', 'migrations_moving_dest', '200 2'),
	('jobs', 'jobs_migration', '1000000 1'),
	('jobs', 'jobs_action', '1000000 1'),
	('jobs', 'jobs_unfinished', '200 1'),
	('claims', 'claims_host', '200 2'),
	('claims', 'claims_migration', '200 1'),
	('instance_actions', 'instance_actions_server', '1000000 5 1 1'),
	('instance_actions', 'instance_actions_request', '1000000 1 1'),
	('instance_actions', 'instance_actions_updated', '1000000 2'),
	('instance_action_events', 'instance_action_events_action', '4000000 4'),
	('volumes', 'volumes_job', '200 2'),
	('volumes', 'volumes_incomplete', '10 1'),
	('kept_domains', 'kept_domains_server', '1000 1'),
	('kept_domains', 'kept_domains_host', '1000 2');
ANALYZE sqlite_schema;
