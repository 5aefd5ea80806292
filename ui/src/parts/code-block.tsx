import { CopyButton } from './copy-button.tsx'

interface CodeBlockProps {
  readonly title: string
  readonly text: string
  readonly isWrapped?: boolean
}

export function CodeBlock({ title, text, isWrapped = false }: CodeBlockProps) {
  return (
    <div class="code">
      <div class="code-head">
        <span class="cut">{title}</span>
        <span class="push">
          <CopyButton text={text} what={title} hasWord />
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre class={isWrapped ? 'wrap' : ''} tabIndex={0}>
        {text}
      </pre>
    </div>
  )
}
