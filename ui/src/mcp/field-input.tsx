import { useId } from 'preact/hooks'
import { parseJson } from '../format/json.ts'
import type { Field } from './tool-form.ts'

interface FieldInputProps {
  readonly field: Field
  readonly value: string
  readonly problem: string | undefined
  readonly onChange: (value: string) => void
}

export function FieldInput({ field, value, problem, onChange }: FieldInputProps) {
  const id = useId()
  const describedBy = `${id}-about`
  return (
    <div class="label">
      <label for={id}>
        <code>{field.name}</code> <span class="hint">{field.kind === 'json' ? 'JSON' : field.kind}</span>
        {field.isRequired && <span class="bad"> required</span>}
      </label>
      <Control
        field={field}
        value={value}
        id={id}
        describedBy={describedBy}
        isWrong={problem !== undefined}
        onChange={onChange}
      />
      <span id={describedBy} class={problem === undefined ? 'hint' : 'bad'}>
        {problem ?? field.description}
      </span>
    </div>
  )
}

interface ControlProps {
  readonly field: Field
  readonly value: string
  readonly id: string
  readonly describedBy: string
  readonly isWrong: boolean
  readonly onChange: (value: string) => void
}

const shown = (choice: string) => {
  const value = parseJson(choice)
  return typeof value === 'string' ? value : choice
}

function Control({ field, value, id, describedBy, isWrong, onChange }: ControlProps) {
  const common = {
    id,
    class: 'input',
    'aria-describedby': describedBy,
    'aria-invalid': isWrong,
    required: field.isRequired,
    value,
  }
  if (field.kind === 'choice' || field.kind === 'boolean') {
    const choices = field.kind === 'boolean' ? ['true', 'false'] : field.choices
    return (
      <select {...common} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">{field.isRequired ? 'Choose…' : 'Leave out'}</option>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {shown(choice)}
          </option>
        ))}
      </select>
    )
  }
  if (field.kind === 'text' || field.kind === 'json') {
    const isJson = field.kind === 'json'
    return (
      <textarea
        {...common}
        class={`input${isJson ? ' mono' : ''}`}
        rows={isJson ? 4 : 1}
        spellcheck={false}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    )
  }
  return <input {...common} inputMode="decimal" onInput={(event) => onChange(event.currentTarget.value)} />
}
