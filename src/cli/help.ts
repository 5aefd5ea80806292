/** What `agentgateway --help` prints. */
import { MCP_PERSONAS } from '../demo/mcp-server.ts'
import { DEFAULT_ADDRESSES, HOPS } from '../doctor/hops.ts'

export const HELP = `AgentGateway: one process between AI clients and what they call.

Usage
  agentgateway [run] [-f FILE | -c YAML] [--workers N] [--validate-only] [--json]
  agentgateway demo [--port PORT] [--once] [--json]
  agentgateway demo providers [--host HOST] [--port PORT]
  agentgateway demo mcp-server [--name NAME]
  agentgateway demo traffic [--gateway URL] [--rate N]
  agentgateway doctor [--gateway URL] [--skip HOP[,HOP]] [--model NAME] [--timeout SECONDS] [--json] ...
  agentgateway migrate -f FILE [-o FILE]
  agentgateway import --from litellm -f FILE [-o FILE]

Commands
  run                  run the gateway (the default)
  demo                 run it with simulated providers and a little traffic: no API key needed
  demo providers       only the simulated providers, for a gateway that runs elsewhere
  demo mcp-server      a simulated MCP server on its standard streams: \`stdio\` of a target
  demo traffic         only the traffic, for a gateway with the demo's routes
  doctor               send one request through a running gateway, follow it to Prometheus, Jaeger and Grafana,
                       and say where it breaks
  migrate              write a configuration with \`binds\` anew, with \`gateways\`: it runs as before
  import               make a configuration out of LiteLLM's, and say what could not be carried over

Options of run
  -f, --file FILE      configuration file; - reads standard input. A file is watched: a change takes
                       effect at once, and a broken one leaves the running configuration in force
  -c, --config YAML    configuration as text
                       without -f and -c: OpenAI and Anthropic on http://localhost:3000
      --workers N      serve with N processes on the same ports, or with one for each processor: auto
                       (default 1, or config.workerThreads)
      --validate-only  check the configuration and exit
      --json           report configuration problems as JSON

Options of demo
      --port PORT      where the gateway listens; 0 takes a free port (default 3000)
      --once           send a fixed mix, print what was sent, counted and billed, and exit 0 if they agree
      --json           print that summary as JSON

Options of demo providers
      --host HOST      where they listen (default 127.0.0.1)
      --port PORT      OpenAI's; Anthropic's is the next one (default 9101)

Options of demo mcp-server
      --name NAME      ${MCP_PERSONAS.join(' or ')} (default ${MCP_PERSONAS[0]})

Options of demo traffic
      --gateway URL    where it goes (default http://localhost:3000)
      --rate N         requests per second, on average (default 2)

Options of doctor
      --gateway URL    default ${DEFAULT_ADDRESSES.gateway}
      --metrics URL    the gateway's, default ${DEFAULT_ADDRESSES.metrics}
      --console URL    the gateway's, default ${DEFAULT_ADDRESSES.console}
      --prometheus URL, --jaeger URL, --grafana URL, --collector HOST:PORT
                       default ${DEFAULT_ADDRESSES.prometheus}, ${DEFAULT_ADDRESSES.jaeger}, ${DEFAULT_ADDRESSES.grafana},
                       ${DEFAULT_ADDRESSES.collector}. If none is there and none is named, none is missed
      --skip HOP[,HOP] leave out: ${HOPS.join(', ')}
      --model NAME     asked for (default gpt-4o-mini); claude... asks Anthropic's API
      --timeout SECONDS
                       for each hop (default 30)
      --json           report as JSON
                       OPENAI_API_KEY, ANTHROPIC_API_KEY: sent with the request. GF_SECURITY_ADMIN_USER,
                       GF_SECURITY_ADMIN_PASSWORD: Grafana's login (default admin, admin). PROMETHEUS_PASSWORD,
                       ADMIN_TOKEN: of Prometheus and of the console, where they ask

Options of migrate and import
  -f, --file FILE      what is read; - reads standard input
  -o, --output FILE    where the result goes (default standard output)
      --from litellm   whose configuration it is

  -h, --help           this text
  -V                   version
      --version        version as JSON

Ports (set by the configuration, or by STATS_ADDR, READINESS_ADDR, ADMIN_ADDR)
  :3000   the gateway          :15020  /metrics
  :15021  /healthz/ready       :15000  /ui/ the console (loopback only)

Exit status
  0  done    1  failed while running, or doctor found something broken    2  wrong usage or configuration
`
