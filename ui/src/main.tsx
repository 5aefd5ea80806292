/**
 * Starts the console.
 */
import { render } from 'preact'
import { App } from './app.tsx'
import { startNavigation } from './navigation/location.ts'

startNavigation()
const root = document.getElementById('app')
if (root !== null) render(<App />, root)
