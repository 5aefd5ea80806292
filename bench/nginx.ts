/**
 * nginx, twice: as the plain reverse proxy that the gateway is compared with, and as the cheapest upstream there is.
 *
 * Set up to do well: one worker (it has one CPU), connections kept on both sides, its access log buffered as the
 * gateway's is, answers passed on as they come.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, freePort, type Place, type Stage } from './processes.ts'

export interface Nginx {
  readonly port: number
  readonly proxy: Child
}

/** Undefined when there is no nginx here. */
export function nginxProxy(stage: Stage, upstreamPort: number): Promise<Nginx | undefined> {
  return startNginx(stage, 'proxy', (port, log) => [
    `upstream provider { server 127.0.0.1:${upstreamPort}; keepalive 1024; keepalive_requests 1000000000; }`,
    `access_log ${log} combined buffer=64k flush=1s;`,
    'server {',
    `  listen 127.0.0.1:${port} backlog=4096;`,
    '  client_body_buffer_size 2m;',
    '  client_max_body_size 32m;',
    '  location / {',
    '    proxy_pass http://provider;',
    '    proxy_http_version 1.1;',
    '    proxy_set_header Connection "";',
    '    proxy_buffering off;',
    '  }',
    '}',
  ])
}

/** Answers every request with `body`. */
export function nginxAnswering(
  stage: Stage,
  body: string,
  port: number | undefined,
): Promise<Nginx | undefined> {
  if (body.includes('$')) throw new Error('nginx would take a dollar sign in the answer for a variable')
  const quoted = body.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  const http = (on: number) => [
    'access_log off;',
    'default_type application/json;',
    `server { listen 127.0.0.1:${on} backlog=4096; location / { return 200 '${quoted}'; } }`,
  ]
  return startNginx(stage, 'upstream', http, port)
}

type Http = (port: number, accessLog: string) => readonly string[]

async function startNginx(
  stage: Stage,
  on: Place,
  http: Http,
  givenPort?: number,
): Promise<Nginx | undefined> {
  const { nginx } = stage.tools
  if (nginx === undefined) return undefined
  const port = givenPort ?? (await freePort())
  const base = join(stage.directory, `nginx-${port}`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${base}-${name};`,
  )
  const text = [
    'daemon off;',
    'worker_processes 1;',
    `pid ${base}.pid;`,
    'worker_rlimit_nofile 16384;',
    'events { worker_connections 8192; }',
    'http {',
    ...temporary,
    'keepalive_requests 1000000000;',
    'keepalive_timeout 300s;',
    'tcp_nodelay on;',
    ...http(port, `${base}.access`),
    '}',
  ]
  writeFileSync(`${base}.conf`, text.join('\n'))
  const command = [nginx, '-e', `${base}.error`, '-c', `${base}.conf`] as const
  const proxy = stage.start({ name: 'nginx', command, on })
  return { port, proxy }
}
