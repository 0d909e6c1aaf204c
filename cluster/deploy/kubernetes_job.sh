# The head of one job: serves, submits the job once, and ends as the job does. 75: it has not ended.
trouped "$@" &
daemon=$!
stop() {
  kill -TERM "$daemon" 2>/dev/null
  wait "$daemon"
}
trap 'stop; exit 75' TERM INT
until troupe jobs --server "$door" >/dev/null 2>&1; do
  kill -0 "$daemon" 2>/dev/null || exit 75
  sleep 1
done
id=$(troupe submit "$job" --server "$door" --request-id jobset) || { stop; exit 2; }
troupe resume "$id" --server "$door" >/dev/null 2>&1 || true
troupe watch "$id" --server "$door" &
wait "$!"
state=$(troupe show "$id" --server "$door" --json | sed -n 's/.*"state": *"\([a-z]*\)".*/\1/p')
troupe show "$id" --server "$door"
stop
case $state in
  finished) exit 0 ;;
  failed) exit 1 ;;
  cancelled | paused) exit 3 ;;
  *) exit 75 ;;
esac
