#!/bin/sh
# migrationd (REAL), but that it ends as it should not: with ON_TERM in place of its end on SIGTERM, with ON_USR1 by itself.
# Other verbs are done as they are.
[ "$1" = serve ] || exec "$REAL" "$@"
eval "${AT_START:-}"
setpriv --pdeathsig KILL "$REAL" "$@" &
trap 'kill -TERM $!; wait $!; eval "${ON_TERM:-exit 0}"' TERM
trap 'kill -KILL $!; wait $!; eval "$ON_USR1"' USR1
while kill -0 $! 2>/dev/null; do wait $!; done
