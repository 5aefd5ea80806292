# Where Grafana keeps things on this machine. The image it comes from has another place for its data in its variables.
export GF_PATHS_HOME="${GF_PATHS_HOME:-/usr/share/grafana}"
export GF_PATHS_DATA="$DATA/grafana"
