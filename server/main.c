/* migrationd's entry: finds the verb and calls it. */
#include "server/verbs.h"

int main(int argument_count, char **arguments)
{
	return verb_run(verbs, argument_count > 0 ? arguments + 1 : arguments);
}
