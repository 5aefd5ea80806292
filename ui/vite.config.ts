/**
 * Builds the console into `dist/ui/`, from where the admin port serves it under `/ui/`.
 *
 * One script and one style sheet: a gateway that is updated while a console is open must not leave it asking for
 * pieces that are gone. Nothing is inlined into the page, so that it runs under `script-src 'self'`.
 */
import { defineConfig } from 'vite'

export default defineConfig({
  base: '/ui/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
  },
})
