/**
 * How each client is pointed at the gateway. Keys stay placeholders: which one is needed depends on the route.
 */
export interface Snippet {
  readonly id: string
  readonly title: string
  readonly note?: string
  readonly blocks: readonly { readonly title: string; readonly text: string }[]
}

export interface SnippetGroup {
  readonly id: 'sdk' | 'agents' | 'mcp' | 'curl'
  readonly title: string
  readonly snippets: readonly Snippet[]
}

export function snippetGroups(origin: string, mcpPath: string): readonly SnippetGroup[] {
  return [
    { id: 'sdk', title: 'SDKs', snippets: [openAiSdk(origin), anthropicSdk(origin)] },
    { id: 'agents', title: 'Coding agents', snippets: [claudeCode(origin), codex(origin), cursor(origin)] },
    { id: 'mcp', title: 'MCP clients', snippets: mcpClients(`${origin}${mcpPath}`) },
    { id: 'curl', title: 'curl', snippets: [curl(origin)] },
  ]
}

function openAiSdk(origin: string): Snippet {
  return {
    id: 'openai',
    title: 'OpenAI SDK',
    note: 'The base URL ends in /v1. The key is sent on to the provider unless the route has one of its own.',
    blocks: [
      {
        title: 'Python',
        text: `from openai import OpenAI

client = OpenAI(
    base_url="${origin}/v1",
    api_key="sk-…",
)

completion = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(completion.choices[0].message.content)`,
      },
      {
        title: 'Node.js',
        text: `import OpenAI from 'openai'

const client = new OpenAI({
  baseURL: '${origin}/v1',
  apiKey: 'sk-…',
})

const completion = await client.chat.completions.create({
  model: 'gpt-4o-mini',
  messages: [{ role: 'user', content: 'Hello!' }],
})
console.log(completion.choices[0].message.content)`,
      },
      { title: 'Environment', text: `export OPENAI_BASE_URL=${origin}/v1` },
    ],
  }
}

function anthropicSdk(origin: string): Snippet {
  return {
    id: 'anthropic',
    title: 'Anthropic SDK',
    note: 'The base URL has no /v1: the SDK adds it.',
    blocks: [
      {
        title: 'Python',
        text: `from anthropic import Anthropic

client = Anthropic(
    base_url="${origin}",
    api_key="sk-ant-…",
)

message = client.messages.create(
    model="claude-haiku-4-5",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello!"}],
)
print(message.content[0].text)`,
      },
      {
        title: 'Node.js',
        text: `import Anthropic from '@anthropic-ai/sdk'

const client = new Anthropic({
  baseURL: '${origin}',
  apiKey: 'sk-ant-…',
})

const message = await client.messages.create({
  model: 'claude-haiku-4-5',
  max_tokens: 1024,
  messages: [{ role: 'user', content: 'Hello!' }],
})
console.log(message.content)`,
      },
      { title: 'Environment', text: `export ANTHROPIC_BASE_URL=${origin}` },
    ],
  }
}

function claudeCode(origin: string): Snippet {
  return {
    id: 'claude-code',
    title: 'Claude Code',
    note: 'Its sign-in or API key goes through the gateway to Anthropic.',
    blocks: [
      { title: 'Shell', text: `ANTHROPIC_BASE_URL=${origin} claude` },
      {
        title: '~/.claude/settings.json, for every start',
        text: JSON.stringify({ env: { ANTHROPIC_BASE_URL: origin } }, undefined, 2),
      },
    ],
  }
}

function codex(origin: string): Snippet {
  return {
    id: 'codex',
    title: 'Codex CLI',
    note: 'It speaks the Responses API: the route needs the type "responses" for /v1/responses, or "detect".',
    blocks: [
      {
        title: '~/.codex/config.toml',
        text: `model_provider = "agentgateway"

[model_providers.agentgateway]
name = "AgentGateway"
base_url = "${origin}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"`,
      },
    ],
  }
}

function cursor(origin: string): Snippet {
  return {
    id: 'cursor',
    title: 'Cursor',
    note: "Settings → Models → Override OpenAI Base URL. The calls come from Cursor's own servers: they must reach this address, so localhost does not work. Use a host name that the internet can reach, with TLS.",
    blocks: [{ title: 'Override OpenAI Base URL', text: `${origin}/v1` }],
  }
}

function mcpClients(url: string): readonly Snippet[] {
  return [
    {
      id: 'mcp-claude',
      title: 'Claude Code',
      blocks: [{ title: 'Shell', text: `claude mcp add --transport http agentgateway ${url}` }],
    },
    {
      id: 'mcp-vscode',
      title: 'VS Code',
      blocks: [
        {
          title: '.vscode/mcp.json',
          text: JSON.stringify({ servers: { agentgateway: { type: 'http', url } } }, undefined, 2),
        },
      ],
    },
    {
      id: 'mcp-cursor',
      title: 'Cursor',
      blocks: [
        {
          title: '~/.cursor/mcp.json',
          text: JSON.stringify({ mcpServers: { agentgateway: { url } } }, undefined, 2),
        },
      ],
    },
    {
      id: 'mcp-codex',
      title: 'Codex CLI',
      blocks: [{ title: '~/.codex/config.toml', text: `[mcp_servers.agentgateway]\nurl = "${url}"` }],
    },
  ]
}

function curl(origin: string): Snippet {
  return {
    id: 'curl',
    title: 'curl',
    note: 'The answer has the trace id in its x-trace-id header: add -i to see it.',
    blocks: [
      {
        title: 'Chat completions (OpenAI)',
        text: `curl ${origin}/v1/chat/completions \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}'`,
      },
      {
        title: 'Messages (Anthropic)',
        text: `curl ${origin}/v1/messages \\
  -H "Content-Type: application/json" \\
  -H "x-api-key: $ANTHROPIC_API_KEY" \\
  -H "anthropic-version: 2023-06-01" \\
  -d '{"model": "claude-haiku-4-5", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello!"}]}'`,
      },
    ],
  }
}
