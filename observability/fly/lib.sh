# Read by the scripts of the services. POSIX sh.

# What follows runs as this user, where there is one to change to.
as() {
  if [ "$(id -u)" = 0 ] && id "$1" >/dev/null 2>&1; then echo "s6-setuidgid $1"; fi
}

# Waits before a start that comes soon after an end: 1, 2, 4 … 30 s after the second, third, fourth … end within two
# minutes. In `run`, so that an order to stop ends it at once.
back_off() {
  now=$(date +%s)
  ends=0
  # TAI64N labels: seconds are the second half of the first sixteen digits. https://cr.yp.to/libtai/tai64.html
  for label in $(s6-svdt . | sed -n 's/^@40000000\(........\).*/\1/p'); do
    if [ $((0x$label)) -gt $((now - 120)) ]; then ends=$((ends + 1)); fi
  done
  if [ "$ends" -lt 2 ]; then return 0; fi
  wait=$((1 << (ends - 2)))
  if [ "$ends" -gt 6 ]; then wait=30; fi
  echo "it ended $ends times within two minutes: the next start is in $wait s"
  # Without the service's output: it outlives an order to stop, and the logger waits for all who might still write.
  sleep "$wait" >/dev/null 2>&1
}

# Starts "$@" once per second until it succeeds, and says so to whoever waits for this service.
# `check` is the service's own script.
notify_when_ready() {
  exec s6-notifyoncheck -d -n 0 -w 1000 -t 3000 -c "$PWD/check" "$@"
}
