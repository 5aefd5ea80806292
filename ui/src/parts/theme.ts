/**
 * Light or dark: the system's, unless the reader chose. `public/theme.js` applies the choice before the first paint.
 */
import { computed, effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

const STORED = 'agentgateway.theme'
const media = matchMedia('(prefers-color-scheme: dark)')

const systemIsDark = signal(media.matches)
media.addEventListener('change', (event) => {
  systemIsDark.value = event.matches
})

function stored(): Theme {
  try {
    const theme = localStorage.getItem(STORED)
    return theme === 'light' || theme === 'dark' ? theme : 'system'
  } catch {
    return 'system'
  }
}

export const theme = signal<Theme>(stored())
export const isDark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'))

effect(() => {
  const chosen = theme.value
  if (chosen === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = chosen
  try {
    if (chosen === 'system') localStorage.removeItem(STORED)
    else localStorage.setItem(STORED, chosen)
  } catch {
    // Storage may be forbidden: the choice then lasts as long as the page.
  }
})
