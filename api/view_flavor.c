/* A flavor as Nova shows it. */
#include "api/view.h"

/* Swap of none was an empty text before 2.75. */
static json_t *swap(const struct db_flavor *flavor, int minor)
{
	return flavor->swap_mb == 0 && minor < 75 ? json_string("") : json_integer(flavor->swap_mb);
}

json_t *view_flavor(const struct db_flavor *flavor, int minor, const struct view_base *base, bool is_detail,
		    bool has_extra_specs)
{
	json_t *document = json_pack("{s:s, s:s}", "id", flavor->flavor_id, "name", flavor->name);

	if (!document)
		return NULL;
	if (is_detail) {
		json_object_set_new(document, "ram", json_integer(flavor->memory_mb));
		json_object_set_new(document, "disk", json_integer(flavor->disk_gb));
		json_object_set_new(document, "swap", swap(flavor, minor));
		json_object_set_new(document, "OS-FLV-EXT-DATA:ephemeral", json_integer(flavor->ephemeral_gb));
		json_object_set_new(document, "OS-FLV-DISABLED:disabled", json_false());
		json_object_set_new(document, "vcpus", json_integer(flavor->vcpus));
		json_object_set_new(document, "os-flavor-access:is_public", json_true());
		json_object_set_new(document, "rxtx_factor", json_real(1.0));
	}
	json_object_set_new(document, "links", view_links(base, "flavors", flavor->flavor_id));
	if (minor >= 55)
		json_object_set_new(document, "description", json_null());
	if (is_detail && minor >= 61 && has_extra_specs)
		json_object_set_new(document, "extra_specs", view_stored_object(flavor->extra_specs));
	return document;
}
