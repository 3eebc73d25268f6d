/* What is made of the rows of verbs for people and shells: help, and the scripts that complete. */
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

static const char help_of_all[] =
	"usage: migrationd VERB …\n"
	"\n"
	"  look                    looks at what's there: all of it\n"
	"  guest move|stop         moves or stops a guest\n"
	"  disk move|stop          tells of disks\n"
	"\n"
	"Exit status:\n"
	"  0                       done\n"
	"  1                       it was refused or it failed; why stands on standard error\n"
	"  64                      called wrongly\n"
	"  69                      the daemon cannot be reached, or is not ready\n"
	"  77                      not allowed: by the token, or for want of being root\n"
	"  78                      the configuration is wrong, or the daemon cannot be started with it\n"
	"  130                     interrupted while waiting; the move goes on\n"
	"\n"
	"migrationd VERB --help tells more of each, migrationd(8) all.\n";

static const char help_of_look[] =
	"usage: migrationd look HOST [PLACE…] [--list FILE…] --colour COLOUR [--times N] [--quiet]\n"
	"           [--how-long-to-wait MILLISECONDS] [--role ROLE]\n"
	"\n"
	"looks at what's there: all of it\n"
	"\n"
	"It looks, and says what it sees; what there is to be seen there is said in one line for each of the\n"
	"places.\n"
	"\n"
	"A second paragraph.\n"
	"\n"
	"  HOST                    where to look\n"
	"  PLACE…                  what to look at\n"
	"  --list FILE…            a file [its rows: one each], that's read (default /etc/list)\n"
	"  --colour COLOUR         of the lamp: red, blue\n"
	"  --times N               how often (-1 to 9) (default 2)\n"
	"  --quiet                 say nothing\n"
	"  --how-long-to-wait MILLISECONDS\n"
	"                          for what\n"
	"  --role ROLE             as whom\n"
	"\n"
	"Examples:\n"
	"  migrationd look h --colour red\n"
	"      once\n"
	"  migrationd look h p q --colour blue\n"
	"      at two\n";

static const char help_of_guest[] = "usage: migrationd guest move SERVER [POLICY]\n"
				    "       migrationd guest stop [--migration ID]\n"
				    "\n"
				    "moves or stops a guest\n"
				    "\n"
				    "migrationd guest move\n"
				    "moves it\n"
				    "\n"
				    "  SERVER                  its name\n"
				    "  POLICY                  a rule\n"
				    "\n"
				    "migrationd guest stop\n"
				    "stops it\n"
				    "\n"
				    "  --migration ID          which one\n";

static const char bash_begins[] =
	"# bash completion for migrationd, made of its table of verbs: migrationd completion bash\n"
	"\n"
	"# Sets what the verb is about: options, values, operands, repeats, verbs.\n"
	"_migrationd_about() {\n"
	"\tcase \"$1\" in\n"
	"\t'')\n"
	"\t\tverbs='look guest disk'\n"
	"\t\t;;\n"
	"\t'look')\n"
	"\t\toptions='--help --list --colour --times --quiet --how-long-to-wait --role'\n"
	"\t\tvalues[--list]='file'\n"
	"\t\tvalues[--colour]='words red blue'\n"
	"\t\tvalues[--times]='nothing'\n"
	"\t\tvalues[--how-long-to-wait]='nothing'\n"
	"\t\tvalues[--role]='words admin manager member reader'\n"
	"\t\toperands+=('asked hosts')\n"
	"\t\toperands+=('nothing')\n"
	"\t\trepeats=1\n"
	"\t\t;;\n"
	"\t'guest')\n"
	"\t\toptions='--help'\n"
	"\t\tverbs='move stop'\n"
	"\t\t;;\n"
	"\t'guest move')\n"
	"\t\toptions='--help'\n"
	"\t\toperands+=('asked servers')\n"
	"\t\toperands+=('asked policies')\n"
	"\t\t;;\n"
	"\t'guest stop')\n"
	"\t\toptions='--help --migration'\n"
	"\t\tvalues[--migration]='asked migrations'\n"
	"\t\t;;\n"
	"\t'disk')\n"
	"\t\toptions='--help'\n"
	"\t\tverbs='move stop'\n"
	"\t\t;;\n"
	"\t'disk move')\n"
	"\t\toptions='--help'\n"
	"\t\toperands+=('asked servers')\n"
	"\t\toperands+=('asked policies')\n"
	"\t\t;;\n"
	"\t'disk stop')\n"
	"\t\toptions='--help --migration'\n"
	"\t\tvalues[--migration]='asked migrations'\n"
	"\t\t;;\n"
	"\tesac\n"
	"}\n"
	"\n";

static const char zsh[] =
	"#compdef migrationd\n"
	"# zsh completion for migrationd, made of its table of verbs: migrationd completion zsh\n"
	"\n"
	"_migrationd_asked() {\n"
	"\tlocal -a daemon=() found\n"
	"\tlocal i\n"
	"\tfor ((i = 2; i <= $#words; i++)); do\n"
	"\t\tcase $words[i] in\n"
	"\t\t--config|--endpoint|--token|--cacert) daemon+=(\"$words[i]\" \"$words[i+1]\") ;;\n"
	"\t\t--config=*|--endpoint=*|--token=*|--cacert=*) daemon+=(\"$words[i]\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tfound=(${(f)\"$(_call_program migrationd-$1 $migrationd completion $1 ${(q)daemon} 2>/dev/null)\"})\n"
	"\tcompadd -a found\n"
	"}\n"
	"\n"
	"_migrationd() {\n"
	"\tlocal called migrationd=$words[1]\n"
	"\tlocal -a verbs\n"
	"\tif ((CURRENT == 2)); then\n"
	"\t\tverbs=( 'look:looks at what'\\''s there\\: all of it' 'guest:moves or stops a guest' 'disk:tells of "
	"disks')\n"
	"\t\t_describe -t verbs verb verbs\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase $words[2] in\n"
	"\tguest|disk)\n"
	"\t\tif ((CURRENT == 3)); then\n"
	"\t\t\tcalled=$words[2]\n"
	"\t\telse\n"
	"\t\t\tcalled=\"$words[2] $words[3]\"\n"
	"\t\t\tshift 2 words\n"
	"\t\t\t((CURRENT -= 2))\n"
	"\t\tfi\n"
	"\t\t;;\n"
	"\t*)\n"
	"\t\tcalled=$words[2]\n"
	"\t\tshift 1 words\n"
	"\t\t((CURRENT -= 1))\n"
	"\t\t;;\n"
	"\tesac\n"
	"\tcase $called in\n"
	"\t'look')\n"
	"\t\t_arguments -S '--help[tells how it is called]' \\\n"
	"\t\t\t'1:HOST:{_migrationd_asked hosts}' \\\n"
	"\t\t\t'*:PLACE: ' \\\n"
	"\t\t\t'*--list=[a file \\[its rows\\: one each\\], that'\\''s read]:FILE:_files' \\\n"
	"\t\t\t'--colour=[of the lamp]:COLOUR:(red blue)' \\\n"
	"\t\t\t'--times=[how often]:N: ' \\\n"
	"\t\t\t'--quiet[say nothing]' \\\n"
	"\t\t\t'--how-long-to-wait=[for what]:MILLISECONDS: ' \\\n"
	"\t\t\t'--role=[as whom]:ROLE:(admin manager member reader)'\n"
	"\t\t;;\n"
	"\t'guest')\n"
	"\t\tverbs=( 'move:moves it' 'stop:stops it')\n"
	"\t\t_describe -t verbs verb verbs\n"
	"\t\t;;\n"
	"\t'guest move')\n"
	"\t\t_arguments -S '--help[tells how it is called]' \\\n"
	"\t\t\t'1:SERVER:{_migrationd_asked servers}' \\\n"
	"\t\t\t'2:POLICY:{_migrationd_asked policies}'\n"
	"\t\t;;\n"
	"\t'guest stop')\n"
	"\t\t_arguments -S '--help[tells how it is called]' \\\n"
	"\t\t\t'--migration=[which one]:ID:{_migrationd_asked migrations}'\n"
	"\t\t;;\n"
	"\t'disk')\n"
	"\t\tverbs=( 'move:moves it' 'stop:stops it')\n"
	"\t\t_describe -t verbs verb verbs\n"
	"\t\t;;\n"
	"\t'disk move')\n"
	"\t\t_arguments -S '--help[tells how it is called]' \\\n"
	"\t\t\t'1:SERVER:{_migrationd_asked servers}' \\\n"
	"\t\t\t'2:POLICY:{_migrationd_asked policies}'\n"
	"\t\t;;\n"
	"\t'disk stop')\n"
	"\t\t_arguments -S '--help[tells how it is called]' \\\n"
	"\t\t\t'--migration=[which one]:ID:{_migrationd_asked migrations}'\n"
	"\t\t;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"_migrationd \"$@\"\n";

static void help_names_each_verb_with_its_summary_and_each_exit_status(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	verb_help_all(cli_verbs, &text);
	assert_string_equal(text.data, help_of_all);
}

static void help_of_a_verb_tells_its_call_its_rows_and_its_examples(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	verb_help(cli_verbs[0], "look", &text);
	assert_string_equal(text.data, help_of_look);
}

static void help_of_a_first_word_tells_all_that_may_stand_behind_it(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	verb_help(cli_verbs[1], "guest", &text);
	assert_string_equal(text.data, help_of_guest);
}

/* What the script does with this is seen in a real shell (tests/cli). */
static void bash_is_told_what_each_verb_takes(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	verb_complete_bash(cli_verbs, &text);
	assert_int_equal(strncmp(text.data, bash_begins, strlen(bash_begins)), 0);
	assert_true(text_ends_with(text.data, "\ncomplete -F _migrationd migrationd\n"));
}

static void zsh_is_told_what_each_verb_takes(void **state)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)state;
	verb_complete_zsh(cli_verbs, &text);
	assert_string_equal(text.data, zsh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_names_each_verb_with_its_summary_and_each_exit_status),
		cmocka_unit_test(help_of_a_verb_tells_its_call_its_rows_and_its_examples),
		cmocka_unit_test(help_of_a_first_word_tells_all_that_may_stand_behind_it),
		cmocka_unit_test(bash_is_told_what_each_verb_takes),
		cmocka_unit_test(zsh_is_told_what_each_verb_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
