/* The manual's two pages: what is made of the rows of verbs, and of the keys of the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli_verbs.h"
#include "server/cli/manual.h"

static const char verbs_head[] = ".nh\n"
				 ".ad l\n"
				 ".SH \"NAME\"\n"
				 "migrationd \\- moves libvirt guests for OpenStack's clients\n"
				 ".SH \"SYNOPSIS\"\n"
				 ".HP\n"
				 "\\fBmigrationd look\\fR\n"
				 "\\fIHOST\\fR\n"
				 "[\\fIPLACE\\fR\\[u2026]]\n"
				 "[\\fB\\-\\-list\\fR\\~\\fIFILE\\fR\\[u2026]]\n"
				 "\\fB\\-\\-colour\\fR\\~\\fICOLOUR\\fR\n"
				 "[\\fB\\-\\-times\\fR\\~\\fIN\\fR]\n"
				 "[\\fB\\-\\-quiet\\fR]\n"
				 "[\\fB\\-\\-how\\-long\\-to\\-wait\\fR\\~\\fIMILLISECONDS\\fR]\n"
				 "[\\fB\\-\\-role\\fR\\~\\fIROLE\\fR]\n"
				 ".HP\n"
				 "\\fBmigrationd guest move\\fR\n"
				 "\\fISERVER\\fR\n"
				 "[\\fIPOLICY\\fR]\n"
				 ".HP\n"
				 "\\fBmigrationd guest stop\\fR\n"
				 "[\\fB\\-\\-migration\\fR\\~\\fIID\\fR]\n"
				 ".HP\n"
				 "\\fBmigrationd disk move\\fR\n"
				 "\\fISERVER\\fR\n"
				 "[\\fIPOLICY\\fR]\n"
				 ".HP\n"
				 "\\fBmigrationd disk stop\\fR\n"
				 "[\\fB\\-\\-migration\\fR\\~\\fIID\\fR]\n"
				 ".SH \"DESCRIPTION\"\n"
				 "migrationd speaks OpenStack Nova\\(aqs migrate\\-server API and really moves\n";

static const char verbs_described[] =
	"It is sent to a daemon alone that answers on the admin socket.\n"
	".PP\n"
	"Tables are as wide as the terminal; what has no room is cut, and ends with an\n"
	"ellipsis.\n"
	"In a pipe they are whole.\n"
	"With \\-\\-json the verbs that list or show print JSON, whose members are named\n"
	"at each of them.\n"
	".SH \"VERBS\"\n"
	".SS \"migrationd look\"\n"
	"Looks at what\\(aqs there: all of it.\n"
	".PP\n"
	"It looks, and says what it sees; what there is to be seen there is said in one\n"
	"line for each of the places.\n"
	".PP\n"
	"A second paragraph.\n"
	".TP\n"
	"\\fBHOST\\fR\n"
	"where to look.\n"
	".TP\n"
	"\\fBPLACE\\fR\n"
	"what to look at.\n"
	".TP\n"
	"\\fB\\-\\-list\\fR \\fIFILE\\fR\n"
	"a file [its rows: one each], that\\(aqs read (default /etc/list).\n"
	".TP\n"
	"\\fB\\-\\-colour\\fR \\fICOLOUR\\fR\n"
	"of the lamp: red, blue.\n"
	".TP\n"
	"\\fB\\-\\-times\\fR \\fIN\\fR\n"
	"how often (\\-1 to 9) (default 2).\n"
	".TP\n"
	"\\fB\\-\\-quiet\\fR\n"
	"say nothing.\n"
	".TP\n"
	"\\fB\\-\\-how\\-long\\-to\\-wait\\fR \\fIMILLISECONDS\\fR\n"
	"for what.\n"
	".TP\n"
	"\\fB\\-\\-role\\fR \\fIROLE\\fR\n"
	"as whom.\n"
	".PP\n"
	"Example, once:\n"
	".PP\n"
	".RS 4\n"
	".nf\n"
	"migrationd look h \\-\\-colour red\n"
	".fi\n"
	".RE\n"
	".PP\n"
	"Example, at two:\n"
	".PP\n"
	".RS 4\n"
	".nf\n"
	"migrationd look h p q \\-\\-colour blue\n"
	".fi\n"
	".RE\n"
	".SS \"migrationd guest move\"\n"
	"Moves it.\n"
	".TP\n"
	"\\fBSERVER\\fR\n"
	"its name.\n"
	".TP\n"
	"\\fBPOLICY\\fR\n"
	"a rule.\n"
	".SS \"migrationd guest stop\"\n"
	"Stops it.\n"
	".TP\n"
	"\\fB\\-\\-migration\\fR \\fIID\\fR\n"
	"which one.\n"
	".SS \"migrationd disk move\"\n"
	"Moves it.\n"
	".TP\n"
	"\\fBSERVER\\fR\n"
	"its name.\n"
	".TP\n"
	"\\fBPOLICY\\fR\n"
	"a rule.\n"
	".SS \"migrationd disk stop\"\n"
	"Stops it.\n"
	".TP\n"
	"\\fB\\-\\-migration\\fR \\fIID\\fR\n"
	"which one.\n"
	".SH \"EXIT STATUS\"\n"
	".TP\n"
	"\\fB0\\fR\n"
	"done.\n"
	".TP\n"
	"\\fB1\\fR\n"
	"it was refused or it failed; why stands on standard error.\n"
	".TP\n"
	"\\fB64\\fR\n"
	"called wrongly.\n"
	".TP\n"
	"\\fB69\\fR\n"
	"the daemon cannot be reached, or is not ready.\n"
	".TP\n"
	"\\fB77\\fR\n"
	"not allowed: by the token, or for want of being root.\n"
	".TP\n"
	"\\fB78\\fR\n"
	"the configuration is wrong, or the daemon cannot be started with it.\n"
	".TP\n"
	"\\fB130\\fR\n"
	"interrupted while waiting; the move goes on.\n"
	".SH \"ENVIRONMENT\"\n"
	".TP\n"
	"\\fBOS_ENDPOINT\\fR\n"
	"where the API is, with its version, as OpenStack\\(aqs clients have it with\n"
	"OS_AUTH_TYPE=admin_token.\n";

static const char verbs_tail[] = ".TP\n"
				 "\\fBOS_CACERT\\fR\n"
				 "a file with the certificates that the endpoint\\(aqs is checked by, PEM.\n"
				 ".TP\n"
				 "\\fBhttps_proxy, http_proxy, no_proxy\\fR\n"
				 "the way to the endpoint; the daemon of this machine is asked directly.\n"
				 ".TP\n"
				 "\\fBTMPDIR\\fR\n"
				 "where serve \\-\\-simulate has its folder; /tmp without it.\n"
				 ".SH \"FILES\"\n"
				 ".TP\n"
				 "\\fB/etc/migrationd/migrationd.yaml\\fR\n"
				 "The configuration, where \\-\\-config does not name another.\n"
				 ".TP\n"
				 "\\fB/var/lib/migrationd/migrationd.db\\fR\n"
				 "The database, where the configuration does not name another.\n"
				 ".TP\n"
				 "\\fB/run/migrationd/admin.sock\\fR\n"
				 "The admin socket, likewise.\n"
				 ".SH \"SEE ALSO\"\n"
				 ".BR migrationd.yaml (5),\n"
				 ".BR openstack (1),\n"
				 ".BR libvirtd (8)\n";

static const char page_head[] = ".nh\n"
				".ad l\n"
				".SH \"NAME\"\n"
				"migrationd.yaml \\- the configuration of migrationd\n"
				".SH \"DESCRIPTION\"\n"
				"The configuration is one YAML file, /etc/migrationd/migrationd.yaml unless\n";

static const char page_keys_begin[] = ".SH \"KEYS\"\n"
				      ".TP\n"
				      "\\fBnode\\fR\n"
				      "this daemon\\(aqs name; the machine\\(aqs name without it.\n"
				      ".br\n"
				      "text\n"
				      ".TP\n"
				      "\\fBdatabase\\fR\n"
				      "the database\\(aqs file.\n"
				      "Default: /var/lib/migrationd/migrationd.db\n"
				      ".br\n"
				      "path\n"
				      ".TP\n";

static const char page_of_a_list[] = ".SS \"auth.keys[]\"\n"
				     "A list: keys that tokens are verified with.\n"
				     ".TP\n"
				     "\\fBauth.keys[].kid\\fR\n"
				     "the key\\(aqs name in the header of tokens.\n"
				     ".br\n"
				     "text\n"
				     ".TP\n"
				     "\\fBauth.keys[].algorithm\\fR\n"
				     "the one algorithm that the key is for.\n"
				     "It is required.\n"
				     ".br\n"
				     "text\n";

static const char page_of_a_mapping[] =
	"Default: not\n"
	".br\n"
	"one of precheck, midway, target_lost, never_converges, not\n"
	".SS \"simulation.tokens.NAME\"\n"
	"A mapping: words that are taken for tokens; \\(gaadmin\\(ga and \\(gamember\\(ga\n"
	"(of the project demo) where nothing else vouches for tokens.\n"
	".TP\n"
	"\\fBsimulation.tokens.NAME.project\\fR\n"
	"the project that it is for.\n"
	"Default: demo\n"
	".br\n"
	"text\n";

static const char page_of_lists_within[] =
	"Default: active\n"
	".br\n"
	"one of active, paused, stopped\n"
	".SS \"simulation.servers[].moves[]\"\n"
	"A list: how its first move goes, its second and so on; the last holds for all\n"
	"that follow.\n"
	".TP\n"
	"\\fBsimulation.servers[].moves[].takes\\fR\n"
	"seconds that the copy takes.\n"
	"Default: 0\n"
	".br\n";

static const char page_tail[] = ".br\n"
				"mapping\n"
				".TP\n"
				"\\fBhosts[].labels\\fR\n"
				"labels of this host, as node\\-specific overrides name them;\n"
				"kubernetes.io/hostname is its name.\n"
				".br\n"
				"mapping\n"
				".SH \"EXAMPLES\"\n"
				".nf\n"
				"node: controller\n"
				"auth:\n"
				"  keys:\n"
				"    \\- {kid: first, algorithm: HS256,\n"
				"       secret_file: /etc/migrationd/token.key}\n"
				"hosts:\n"
				"  \\- {name: compute\\-1, uri: \\(dqqemu+tls://compute\\-1/system\\(dq,\n"
				"     migration_address: 198.51.100.11}\n"
				"libvirt:\n"
				"  live_migration_with_native_tls: true\n"
				".fi\n"
				".SH \"SEE ALSO\"\n"
				".BR migrationd (8)\n";

static void assert_contains(const char *page, const char *part)
{
	if (!strstr(page, part))
		fail_msg("the page lacks:\n%s", part);
}

static void the_page_of_verbs_tells_each_call_its_rows_and_examples_and_the_exit_statuses(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	verb_manual(cli_verbs, &text);
	assert_false(text_failed(&text));
	assert_true(text_starts_with(text.data, ".TH \"MIGRATIOND\" \"8\" \"" MANUAL_DATE "\""));
	assert_contains(text.data, verbs_head);
	assert_contains(text.data, verbs_described);
	assert_true(text_ends_with(text.data, verbs_tail));
}

static void the_page_of_the_configuration_tells_each_key_under_its_whole_name(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	config_manual(&text);
	assert_false(text_failed(&text));
	assert_true(text_starts_with(text.data, ".TH \"MIGRATIOND.YAML\" \"5\" \"" MANUAL_DATE "\""));
	assert_contains(text.data, page_head);
	assert_contains(text.data, page_keys_begin);
	assert_contains(text.data, page_of_a_list);
	assert_contains(text.data, page_of_a_mapping);
	assert_contains(text.data, page_of_lists_within);
	assert_true(text_ends_with(text.data, page_tail));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_of_verbs_tells_each_call_its_rows_and_examples_and_the_exit_statuses),
		cmocka_unit_test(the_page_of_the_configuration_tells_each_key_under_its_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
