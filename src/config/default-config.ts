/** What `agentgateway` runs without `-f` and `-c`: OpenAI and Anthropic on port 3000, nothing to set up. */
export const DEFAULT_CONFIG = `# AgentGateway without a configuration file: OpenAI and Anthropic on http://localhost:3000.
#
# Each request is sent on with the key that the client itself sent (Authorization, or x-api-key for Anthropic).
# OPENAI_API_KEY and ANTHROPIC_API_KEY are not used, even when they are set: whoever reaches the port would spend
# their owner's money. To let the gateway add its own key, write a file with
#   policies: {backendAuth: {key: $OPENAI_API_KEY}}
# on the backend, and see to it that only your clients can reach the gateway.
binds:
  - port: 3000
    listeners:
      - name: default
        routes:
          - name: anthropic
            matches:
              - path:
                  pathPrefix: /v1/messages
            backends:
              - ai:
                  name: anthropic
                  provider:
                    anthropic: {}
                  policies:
                    ai:
                      routes:
                        /v1/messages: messages
                        /v1/messages/count_tokens: anthropicTokenCount
                        "*": passthrough
          - name: openai
            matches:
              - path:
                  pathPrefix: /v1
            backends:
              - ai:
                  name: openai
                  provider:
                    openAI: {}
                  policies:
                    ai:
                      routes:
                        /v1/chat/completions: completions
                        /v1/responses: responses
                        /v1/embeddings: embeddings
                        /v1/models: models
                        "*": passthrough
`
