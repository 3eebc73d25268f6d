/* Every handler of the route table, one line each. A handler's own comment stands in its file. */
#pragma once

#include "api/request.h"

int handle_version_list(struct request *request, struct error *error);
int handle_version_choices(struct request *request, struct error *error);
int handle_version_show(struct request *request, struct error *error);
int handle_old_version_show(struct request *request, struct error *error);
int handle_server_action(struct request *request, struct error *error);

int handle_server_index(struct request *request, struct error *error);
int handle_server_detail(struct request *request, struct error *error);
int handle_server_show(struct request *request, struct error *error);
int handle_server_migration_index(struct request *request, struct error *error);
int handle_server_migration_show(struct request *request, struct error *error);
int handle_migration_abort(struct request *request, struct error *error);
int handle_migration_action(struct request *request, struct error *error);
int handle_migration_index(struct request *request, struct error *error);
int handle_instance_action_index(struct request *request, struct error *error);
int handle_instance_action_show(struct request *request, struct error *error);
int handle_service_index(struct request *request, struct error *error);
int handle_service_delete(struct request *request, struct error *error);
int handle_service_update(struct request *request, struct error *error);
int handle_hypervisor_index(struct request *request, struct error *error);
int handle_hypervisor_detail(struct request *request, struct error *error);
int handle_hypervisor_search(struct request *request, struct error *error);
int handle_hypervisor_servers(struct request *request, struct error *error);
int handle_hypervisor_statistics(struct request *request, struct error *error);
int handle_hypervisor_uptime(struct request *request, struct error *error);
int handle_hypervisor_show(struct request *request, struct error *error);
int handle_server_write(struct request *request, struct error *error);
int handle_server_delete(struct request *request, struct error *error);
int handle_extension_index(struct request *request, struct error *error);
int handle_extension_show(struct request *request, struct error *error);
int handle_aggregate_index(struct request *request, struct error *error);

int handle_flavor_index(struct request *request, struct error *error);
int handle_flavor_detail(struct request *request, struct error *error);
int handle_flavor_show(struct request *request, struct error *error);
int handle_flavor_extra_specs(struct request *request, struct error *error);
