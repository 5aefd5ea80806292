#!/usr/bin/env bash
# The whole stack on Fly.io with one command: `./deploy-fly.sh --help`.
#
# Works with the bash 3.2 of macOS. Secrets reach `fly` on standard input only: arguments can be seen by everybody on
# the machine, and end up in histories and logs.
set -euo pipefail

DEFAULT_APP=agentgateway
INSTALL='install it: https://fly.io/docs/flyctl/install/'

# The script may be called through a link: its files lie beside it, not beside the link.
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=$(dirname "$self")/$link ;;
  esac
done
here=$(CDPATH='' cd -P -- "$(dirname "$self")" >/dev/null && pwd)
root=$(dirname "$here")

usage() {
  cat <<EOF
Deploys AgentGateway, Prometheus, Grafana and Jaeger to one machine on Fly.io. A second run updates it.

  ./deploy-fly.sh [APP [OPENAI_API_KEY]] [options]

Asks for what is missing when it runs on a terminal. Without one, the app is called $DEFAULT_APP, and the key has to be
given: as an argument, in the environment, by --env-file, or by an earlier run.

Options:
  --env-file FILE   lines NAME=VALUE with any of the variables below; what the environment has is stronger
  --region CODE     where, for a new app (default: fly.toml's primary_region; \`fly platform regions\` lists them)
  --org NAME        whose, for a new app (default: personal)
  --open            let anybody use the gateway, without a key: they spend your tokens
  --dry-run         print every command and run none; secrets are masked
  --destroy         delete the app with all its data; asks twice
  -h, --help        this text

Variables (kept as Fly secrets of the same names, once they are set):
  OPENAI_API_KEY               the gateway's own key for OpenAI; needed
  ANTHROPIC_API_KEY            the same for Anthropic; without it requests to Claude are refused by Anthropic
  GATEWAY_API_KEY              what clients present to the gateway; made up if not given, and shown once
  GF_SECURITY_ADMIN_PASSWORD   of Grafana's user "admin"; the same
  PROMETHEUS_PASSWORD          of Prometheus' user "admin"; the same
  ADMIN_TOKEN                  of the gateway's console, which is not public; the same
EOF
}

# --- what is said ----------------------------------------------------------------------------------------------------

bold='' red='' plain=''
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' red=$'\033[31m' plain=$'\033[0m'; fi

say() { printf '%s\n' "$*" >&2; }
step() { say "${bold}==> $*${plain}"; }

# What exists by now on Fly, in words: whoever has to stop here must know.
left='Nothing has been created.'

# What went wrong, and what to do about it.
die() {
  say "${red}deploy-fly: $1${plain}"
  [ $# -lt 2 ] || say "  → $2"
  say "  $left"
  exit 1
}

misused() {
  say "${red}deploy-fly: $1${plain}"
  say '  → ./deploy-fly.sh --help'
  exit 2
}

interrupted() {
  trap - INT TERM HUP
  # The answer to a question may be hidden.
  if [ -t 0 ]; then stty echo 2>/dev/null || true; fi
  say ''
  say "${red}deploy-fly: interrupted${plain}"
  say "  $left"
  exit 130
}
trap interrupted INT TERM HUP

# --- what is asked for -----------------------------------------------------------------------------------------------

app='' argument_key='' env_file='' region='' org='' open='' dry_run='' destroy=''

value_of() { # OPTION REST…: the option's value
  if [ $# -lt 2 ] || [ -z "$2" ]; then misused "$1 needs a value"; fi
  printf %s "$2"
}

positional=0
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --env-file) env_file=$(value_of "$@"); shift ;;
    --env-file=*) env_file=${1#*=} ;;
    --region) region=$(value_of "$@"); shift ;;
    --region=*) region=${1#*=} ;;
    --org) org=$(value_of "$@"); shift ;;
    --org=*) org=${1#*=} ;;
    --open) open=1 ;;
    --dry-run) dry_run=1 ;;
    --destroy) destroy=1 ;;
    -*) misused "unknown option ${1%%=*}" ;;
    *)
      positional=$((positional + 1))
      case $positional in
        1) app=$1 ;;
        2) argument_key=$1 ;;
        # Not repeated: it may be a key.
        *) misused 'more than an app and a key' ;;
      esac
      ;;
  esac
  shift
done

is_terminal() { [ -t 0 ] && [ -t 2 ]; }

ask() { # QUESTION VARIABLE
  local answer
  printf '%s' "$1" >&2
  IFS= read -r answer || { say ''; die 'no answer'; }
  printf -v "$2" '%s' "$answer"
}

ask_hidden() { # QUESTION VARIABLE
  local answer is_there=1
  # Before the question: who pastes an answer may be faster than `read -s`.
  stty -echo
  printf '%s' "$1" >&2
  IFS= read -r answer || is_there=''
  stty echo
  say ''
  [ -n "$is_there" ] || die 'no answer'
  printf -v "$2" '%s' "$answer"
}

SECRETS='OPENAI_API_KEY ANTHROPIC_API_KEY GATEWAY_API_KEY GF_SECURITY_ADMIN_PASSWORD PROMETHEUS_PASSWORD ADMIN_TOKEN'

# Read, not run: what a file says is no command.
read_env_file() {
  local line name value number=0
  [ -r "$1" ] || die "cannot read $1"
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=${line%$'\r'}
    line=${line#"${line%%[![:space:]]*}"}
    line=${line#export }
    case $line in '' | '#'*) continue ;; esac
    case $line in
      [A-Za-z_]*=*) ;;
      *) die "$1, line $number: expected NAME=VALUE" ;;
    esac
    name=${line%%=*}
    value=${line#*=}
    case $name in *[!A-Za-z0-9_]*) die "$1, line $number: expected NAME=VALUE, without spaces" ;; esac
    case $value in
      '"'*'"' | "'"*"'") value=${value#?}; value=${value%?} ;;
    esac
    case " $SECRETS " in
      *" $name "*) ;;
      *) continue ;;
    esac
    case $value in
      *[[:space:]]*) die "$1, line $number: the value of $name has spaces in it; a comment needs a line of its own" ;;
    esac
    [ -n "${!name:-}" ] || printf -v "$name" '%s' "$value"
  done <"$1"
}

valid_app() {
  case $1 in
    *[!a-z0-9-]* | -* | *- | '') return 1 ;;
  esac
  [ ${#1} -ge 2 ] && [ ${#1} -le 63 ]
}

# One line of visible characters: everything else would end, or change, what `fly secrets import` reads.
valid_secret() {
  case $1 in
    *[![:graph:]]* | *'"'* | *"'"* | *\\* | '') return 1 ;;
  esac
}

# --- fly -------------------------------------------------------------------------------------------------------------

fly=''
find_fly() {
  local name
  for name in fly flyctl; do
    if command -v "$name" >/dev/null 2>&1; then fly=$name; return; fi
  done
  [ -n "$dry_run" ] || die "there is no command named fly" "$INSTALL"
  fly=fly
}

printed() {
  local word
  printf '+ %s' "$fly" >&2
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./=:@-]* | '') printf " '%s'" "$word" >&2 ;;
      *) printf ' %s' "$word" >&2 ;;
    esac
  done
  say ''
}

# Shows the command, and runs it unless nothing is to be run. Not from a pipe: `fly` may ask.
run() {
  printed "$@"
  [ -n "$dry_run" ] || "$fly" "$@"
}

# The standard output of a command that changes nothing.
look() {
  printed "$@"
  [ -n "$dry_run" ] || "$fly" "$@" </dev/null
}

log_in() {
  look auth whoami >/dev/null || die 'you are not logged in to Fly.io' "run \`$fly auth login\`, then this again"
}

app_exists() {
  local names
  names=$(look apps list --quiet) || die 'fly could not list your apps' 'see what it says above, then run this again'
  # grep reads to the end: with -q, `pipefail` would take its leaving for a failure.
  printf '%s\n' "$names" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//' | grep -xF -- "$app" >/dev/null
}

# --- --destroy -------------------------------------------------------------------------------------------------------

destroy_app() {
  left='Nothing has been deleted.'
  if [ -z "$dry_run" ]; then
    is_terminal || die '--destroy asks twice, and there is no terminal to answer on'
    find_fly
    log_in
    app_exists || die "you have no app named $app" "\`$fly apps list\` shows those that you have"
    say "This deletes $app for good: the gateway, all metrics, dashboards and traces, the secrets and the address."
    local typed
    ask "Its name again, to confirm: " typed
    [ "$typed" = "$app" ] || die "that is not $app"
    ask 'Really? (yes/no) ' typed
    [ "$typed" = yes ] || die 'not confirmed'
  else
    find_fly
  fi
  left="$app may still be there: \`$fly apps list\`."
  run apps destroy "$app" --yes || die "fly could not delete $app" 'see what it says above'
  [ -n "$dry_run" ] || say "$app is gone."
}

# --- deployment ------------------------------------------------------------------------------------------------------

# 24 random bytes, in characters that no shell, YAML or URL minds.
random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# Names of the secrets that were made up in this run.
made_up=''
make_up() { # VARIABLE PREFIX
  local value
  is_set "$1" && return
  value=$(random) || value=''
  [ ${#value} -eq 48 ] || die 'no random numbers could be read from /dev/urandom'
  printf -v "$1" '%s' "$2$value"
  made_up="$made_up $1"
}

# Given now, or kept from an earlier run.
is_set() {
  [ -n "${!1:-}" ] && return
  case " $known " in *" $1 "*) return 0 ;; esac
  return 1
}

known=''
find_known_secrets() {
  local json
  json=$(look secrets list --app "$app" --json) || die "fly could not list the secrets of $app" 'see what it says above, then run this again'
  known=$(printf %s "$json" | tr '{,' '\n' | sed -n 's/^ *"[Nn]ame" *: *"\([A-Z_]*\)".*/\1/p' | tr '\n' ' ')
}

# Lines NAME=VALUE of what was given or made up now.
new_secrets() {
  local name
  for name in $SECRETS; do
    [ -z "${!name:-}" ] || printf '%s=%s\n' "$name" "${!name}"
  done
}

ask_for_keys() {
  if [ -n "$argument_key" ]; then
    OPENAI_API_KEY=$argument_key
    say 'Note: a key in the command line stays in your shell history; the environment or --env-file keep it out.'
  fi
  if ! is_terminal || [ -n "$dry_run" ]; then
    is_set OPENAI_API_KEY || [ -n "$dry_run" ] || die 'there is no OpenAI API key' \
      'give it as the second argument, as OPENAI_API_KEY in the environment, or by --env-file'
    return 0
  fi
  if [ -z "${OPENAI_API_KEY:-}" ]; then
    if is_set OPENAI_API_KEY; then ask_hidden 'OpenAI API key (empty: as it is): ' OPENAI_API_KEY
    else ask_hidden 'OpenAI API key: ' OPENAI_API_KEY; fi
  fi
  is_set OPENAI_API_KEY || die 'there is no OpenAI API key' 'https://platform.openai.com/api-keys'
  # Whoever gave everything is not asked for what they left out.
  if [ -n "$asked_for_app" ] && [ -z "${ANTHROPIC_API_KEY:-}" ]; then
    if is_set ANTHROPIC_API_KEY; then ask_hidden 'Anthropic API key (empty: as it is): ' ANTHROPIC_API_KEY
    else ask_hidden 'Anthropic API key (optional): ' ANTHROPIC_API_KEY; fi
  fi
}

# Shown before the long part begins: whatever happens to that, they are known.
tell_made_up() {
  local name
  if [ -z "$made_up" ]; then return 0; fi
  say ''
  say "${bold}Made up just now, and not shown again:${plain}"
  for name in $made_up; do say "  $name=${!name}"; done
  say ''
}

import_secrets() {
  step "Setting secrets: $(new_secrets | cut -d= -f1 | tr '\n' ' ')"
  printed secrets import --app "$app" --stage
  if [ -n "$dry_run" ]; then
    new_secrets | sed 's/=.*/=***/; s/^/    /' >&2
    return
  fi
  new_secrets | "$fly" secrets import --app "$app" --stage || {
    # It may have taken them all the same, and then the next run takes them for known.
    tell_made_up
    die 'fly could not set the secrets' 'see what it says above, then run this again'
  }
  tell_made_up
}

least() { case $1 in *PASSWORD) echo 8 ;; *) echo 16 ;; esac; }
long_enough() { [ ${#2} -ge "$(least "$1")" ]; }

check_secrets() {
  local name
  for name in $SECRETS; do
    [ -z "${!name:-}" ] || valid_secret "${!name}" ||
      die "$name is not one line of visible characters without quotes and backslashes"
  done
  for name in GATEWAY_API_KEY GF_SECURITY_ADMIN_PASSWORD PROMETHEUS_PASSWORD ADMIN_TOKEN; do
    [ -z "${!name:-}" ] || long_enough "$name" "${!name}" || die "$name needs $(least "$name") characters at least: it is all that keeps others out"
  done
  case ${OPENAI_API_KEY:-} in
    sk-xxx*) say 'Note: that OpenAI API key looks like an example; OpenAI will refuse it.' ;;
  esac
}

# A machine and its volume stay where they are.
keep_place() {
  local machines
  if [ -z "$region" ]; then return 0; fi
  machines=$(look machine list --app "$app" --quiet) ||
    die "fly could not list the machines of $app" 'see what it says above, then run this again'
  if [ -z "$machines" ]; then return 0; fi
  say "Note: $app has a machine, which stays where it is: --region is for new ones."
  region=''
}

# Without addresses nobody reaches it. `fly deploy` would ask whether to pay for one of its own, for ports other than
# 80 and 443; with TLS the shared one does.
give_addresses() {
  local addresses
  addresses=$(look ips list --app "$app" --json) ||
    die "fly could not list the addresses of $app" 'see what it says above, then run this again'
  case $addresses in *'"'*) return 0 ;; esac
  step "Giving $app its addresses"
  run ips allocate-v6 --app "$app" ||
    die "fly could not give $app an IPv6 address" 'see what it says above, then run this again'
  run ips allocate-v4 --shared --app "$app" ||
    die "fly could not give $app an IPv4 address" 'see what it says above, then run this again'
}

deploy() {
  [ -z "$dry_run" ] || say 'What would be run, for an app that does not exist yet:'
  find_fly
  log_in

  local is_new='' options
  if app_exists; then
    left="The app $app is as it was."
    find_known_secrets
    keep_place
  else
    is_new=1
  fi
  ask_for_keys
  is_set OPENAI_API_KEY || say 'Note: there is no OpenAI API key: without --dry-run it is asked for on a terminal, and needed anywhere else.'
  make_up GATEWAY_API_KEY gw-
  make_up GF_SECURITY_ADMIN_PASSWORD ''
  make_up PROMETHEUS_PASSWORD ''
  make_up ADMIN_TOKEN ''
  check_secrets

  if [ -n "$is_new" ]; then
    step "Creating the app $app"
    run apps create "$app" --org "${org:-personal}" --yes || die "fly could not create the app $app" \
      'names are shared by everybody on Fly.io: if this one is taken, choose another: ./deploy-fly.sh OTHER-NAME'
    left="The app $app exists, with no machine: run this again to go on, or with --destroy to delete it."
  fi

  give_addresses
  if [ -n "$(new_secrets)" ]; then import_secrets; fi

  step 'Building the image and starting the machine (some minutes)'
  left="How far $app has come: \`$fly status --app $app\`, \`$fly logs --app $app\`. Run this again to go on, or with --destroy to delete it."
  options=(--ha=false --remote-only --yes)
  [ -z "$region" ] || options+=(--primary-region "$region")
  [ -z "$open" ] || options+=(--env CLIENT_KEY_MODE=permissive)
  run deploy "$root" --app "$app" --config "$here/fly/fly.toml" --dockerfile "$here/fly/Dockerfile" \
    --ignorefile "$here/fly/.dockerignore" "${options[@]}" || die 'the deployment failed' 'see what fly says above'
  [ -n "$dry_run" ] || tell
}

tell() {
  local key=\$GATEWAY_API_KEY authorization=''
  [ -n "$open" ] || authorization=" \\
    -H \"Authorization: Bearer $key\""
  say ''
  say "${bold}It runs.${plain}"
  say "  LLM gateway  https://$app.fly.dev"
  say "  Grafana      https://$app.fly.dev:3001   user admin, GF_SECURITY_ADMIN_PASSWORD"
  say "  Prometheus   https://$app.fly.dev:9090   user admin, PROMETHEUS_PASSWORD"
  say "  Jaeger       $fly proxy 16686 --app $app, then http://localhost:16686"
  say "  Console      $fly proxy 15000 --app $app, then http://localhost:15000/ui, with ADMIN_TOKEN"
  [ -z "$made_up" ] || say "  The secrets that were made up are shown above."
  say ''
  say "${bold}Try it:${plain}"
  say "  curl https://$app.fly.dev/v1/chat/completions -H 'Content-Type: application/json'$authorization \\
    -d '{\"model\": \"gpt-4o-mini\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}]}'"
  say "  $fly ssh console --app $app --command doctor      # follows one request through all of it"
  say "  $fly logs --app $app"
  [ -z "$open" ] || say "${red}Anybody may use this gateway, and spend your tokens: run this again without --open to end that.${plain}"
}

# --- go --------------------------------------------------------------------------------------------------------------

[ -z "$env_file" ] || read_env_file "$env_file"

asked_for_app=''
if [ -z "$app" ]; then
  if is_terminal && [ -z "$dry_run" ]; then
    asked_for_app=1
    ask "App name [$DEFAULT_APP]: " app
  elif [ -n "$destroy" ]; then
    misused 'which app? ./deploy-fly.sh APP --destroy'
  fi
  app=${app:-$DEFAULT_APP}
fi
[ -f "$here/fly/fly.toml" ] || die "there is no $here/fly/fly.toml" 'run the script where it is, in the folder observability of the repository'
case $app in
  # It may well be a key in the wrong place, and names of apps are public.
  sk-*) misused 'the first argument is the name of the app, and a name does not begin with sk-' ;;
esac
valid_app "$app" || misused "an app's name is 2 to 63 lower-case letters, digits and hyphens, not $app"

if [ -n "$destroy" ]; then destroy_app; else deploy; fi
