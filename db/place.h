/* Telling the watchers that a host's usage may have changed: by its id, or by what stands on it. */
#pragma once

#include "db/session.h"

/* 0 is no host. */
int place_changed(struct db_session *session, int64_t host_id, struct error *error);
/* The hosts that the migration leads from and to. */
int place_changed_by_migration(struct db_session *session, int64_t migration_id, struct error *error);
/* The host that the living server stands on; none is fine. */
int place_changed_by_server(struct db_session *session, const char *server_uuid, struct error *error);
/* The host that the service is of; a service without one is fine. */
int place_changed_by_service(struct db_session *session, int64_t service_id, struct error *error);
