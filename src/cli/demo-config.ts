/** The demo's configuration: both providers native, each behind the other's API, and two MCP servers as one. */

export interface DemoParts {
  /** Of the gateway; 0 takes a free one. */
  readonly port: number
  readonly openAI: number
  readonly anthropic: number
  /** The command that runs this program: the MCP servers are processes of it. */
  readonly command: readonly string[]
}

export function demoConfig({ port, openAI, anthropic, command }: DemoParts): string {
  const [cmd = '', ...before] = command
  const server = (name: string) =>
    JSON.stringify({ name, stdio: { cmd, args: [...before, 'demo', 'mcp-server', '--name', name] } })
  return `# AgentGateway's demo: simulated providers instead of api.openai.com and api.anthropic.com.
binds:
  - port: ${port}
    listeners:
      - name: demo
        routes:
          - name: chat-by-anthropic
            matches: [{path: {pathPrefix: /anthropic}}]
            policies: {urlRewrite: {path: {prefix: /}}}
            backends:
              - ai: &anthropic
                  name: anthropic
                  provider: {anthropic: {}}
                  hostOverride: 127.0.0.1:${anthropic}
                  routes:
                    /v1/chat/completions: completions
                    /v1/responses: responses
                    /v1/messages/count_tokens: anthropicTokenCount
                    /v1/messages: messages
                    "*": passthrough
          - name: messages-by-openai
            matches: [{path: {pathPrefix: /openai}}]
            policies: {urlRewrite: {path: {prefix: /}}}
            backends:
              - ai: &openai
                  name: openai
                  provider: {openAI: {}}
                  hostOverride: 127.0.0.1:${openAI}
                  routes:
                    /v1/chat/completions: completions
                    /v1/responses: responses
                    /v1/embeddings: embeddings
                    /v1/models: models
                    /v1/messages/count_tokens: anthropicTokenCount
                    /v1/messages: messages
                    "*": passthrough
          - name: tools
            matches: [{path: {pathPrefix: /mcp}}, {path: {pathPrefix: /sse}}]
            backends:
              - mcp:
                  targets:
                    - ${server('weather')}
                    - ${server('notes')}
          - name: anthropic
            matches: [{path: {pathPrefix: /v1/messages}}]
            backends: [{ai: *anthropic}]
          - name: openai
            backends: [{ai: *openai}]
`
}
