/**
 * The console's files, as Vite has built them: `dist/ui`. Paths without a file are pages of the application.
 *
 * All are read at the start and held: they are few, and nothing on the disk can be asked for by name.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import { type Handler, text } from './http.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
}

export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

/** Below `/ui`: `/`, `/requests`, `/traces/<id>`. */
const PAGE = /^(?:\/[\w-]+)*\/?$/

interface File {
  readonly type: string
  readonly body: Buffer
  readonly zipped: Buffer
  /** Its name changes with what is in it. */
  readonly isImmutable: boolean
}

function filesIn(folder: string): Map<string, File> {
  const files = new Map<string, File>()
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const body = readFileSync(path)
    files.set(path.slice(folder.length).replaceAll('\\', '/'), {
      type: TYPES[extname(entry.name)] ?? 'application/octet-stream',
      body,
      zipped: gzipSync(body, { level: constants.Z_BEST_COMPRESSION }),
      isImmutable: /[/\\]assets[/\\]/.test(path),
    })
  }
  return files
}

const MISSING =
  'The console was not built. In a checkout: npm run build:ui. The API is at /api, the configuration at /config_dump.\n'

/** Answers GET below `/ui`. */
export function consoleFiles(folder: string): Handler {
  let files: Map<string, File> | undefined
  const find = (path: string) => {
    try {
      files ??= filesIn(folder)
    } catch {
      return undefined
    }
    return files.get(path) ?? (PAGE.test(path) ? files.get('/index.html') : undefined)
  }
  return (request, response) => {
    const [url = ''] = (request.url ?? '').split('?')
    if (url === '/ui' || url === '/') {
      response.writeHead(308, { location: '/ui/' }).end()
      return
    }
    const path = url.slice('/ui'.length)
    const file = find(path)
    if (file === undefined) {
      text(response, 404, files === undefined ? MISSING : 'not found\n')
      return
    }
    const isZipped = /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '')
    const body = isZipped ? file.zipped : file.body
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': body.length,
      vary: 'accept-encoding',
      ...(isZipped && { 'content-encoding': 'gzip' }),
      'cache-control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}
