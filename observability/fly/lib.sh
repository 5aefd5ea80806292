# Read by the scripts of the services. POSIX sh.

# What follows runs as this user, where there is one to change to.
as() {
  if [ "$(id -u)" = 0 ] && id "$1" >/dev/null 2>&1; then echo "s6-setuidgid $1"; fi
}

# Unsets every variable but these, and those that say where things are: a program gets the secrets that it needs, and
# gets them as variables, because arguments can be read by everybody on the machine.
only() {
  kept=" $* PATH STACK DATA RUN PWD "
  for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
    case $kept in
      *" $name "*) ;;
      *) unset "$name" ;;
    esac
  done
}

# Waits before a start that comes soon after the last: 1, 2, 4 … 30 s before the second, third, fourth … in a row. A
# start is forgotten once the part ran for five minutes. In `run`, so that an order to stop ends it at once.
back_off() {
  now=$(date +%s)
  last=0
  row=0
  if [ -f back-off ]; then read -r last row <back-off; fi
  if [ $((now - last)) -lt 300 ]; then row=$((row + 1)); else row=0; fi
  wait=0
  if [ "$row" -gt 5 ]; then wait=30; elif [ "$row" -gt 0 ]; then wait=$((1 << (row - 1))); fi
  echo "$((now + wait)) $row" >back-off
  if [ "$wait" -eq 0 ]; then return 0; fi
  echo "it ended within five minutes, $row times in a row: the next start is in $wait s"
  # Without the service's output: it outlives an order to stop, and the logger waits for all who might still write.
  sleep "$wait" >/dev/null 2>&1
}

# Whom the kernel ends first when memory is short: 1000 first, -1000 never.
oom_score() {
  echo "$1" 2>/dev/null >/proc/self/oom_score_adj || true
}

# Runs "$@"; asks the service's own `data/check` once per second until it succeeds, and says so to whoever waits for it.
# That place is where s6 looks by itself: a check named by option `-c` needs execline, which need not be installed.
notify_when_ready() {
  exec s6-notifyoncheck -d -n 0 -w 1000 -t 3000 "$@"
}
