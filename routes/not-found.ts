import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { ErrandError } from '../src/task/errors.ts'

/**
 * Refuses what no route of this instance or below answers: 405 with `Allow` where the path is known, though
 * not with that method, and 404 where it is not. `docs` is the path of the page that lists what there is.
 *
 * Call it before the routes are registered, and after the hooks that come first, such as that of the key.
 */
export async function refuseUnknown(app: FastifyInstance, docs: string): Promise<void> {
  const routes = new Map<string, Route>()
  app.addHook('onRoute', (route) => collect(routes, route))
  const refuse = (request: FastifyRequest, reply: FastifyReply): ErrandError => {
    const { method, url } = request
    const shown = `${method} ${url.slice(0, 200)}`
    const allowed = methodsOf(routes, url.split(/[?#]/, 1)[0] ?? '')
    // A known method is here too: that of a route which looked, and found no file.
    if (allowed.length === 0 || allowed.includes(method)) {
      return new ErrandError(
        'not-found',
        `There is nothing at ${shown}: ${docs} lists what there is.`,
      )
    }
    reply.header('allow', allowed.join(', '))
    return new ErrandError(
      'method-not-allowed',
      `There is no ${shown}: the methods of this path are ${allowed.join(', ')}.`,
    )
  }
  // A scope without routes: its hook runs for what is unknown alone, before the body is read.
  await app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, done) => done(refuse(request, reply)))
    scope.setNotFoundHandler((request, reply) => {
      throw refuse(request, reply)
    })
  })
}

interface Route {
  pattern: RegExp
  methods: Set<string>
}

function collect(routes: Map<string, Route>, { url, method }: RouteOptions): void {
  const route = routes.get(url) ?? { pattern: toPattern(url), methods: new Set() }
  routes.set(url, route)
  for (const one of [method].flat()) route.methods.add(one)
}

function toPattern(url: string): RegExp {
  const segments = url.split('/').map((segment) => {
    if (segment.startsWith(':')) return '[^/]+'
    return segment === '*' ? '.*' : RegExp.escape(segment)
  })
  return new RegExp(`^${segments.join('/')}$`)
}

/** The methods of all the routes that a path fits: `/workers/echo` is a submit's, and a `/workers/:name`. */
function methodsOf(routes: Map<string, Route>, path: string): string[] {
  const fitting = [...routes.values()].filter(({ pattern }) => pattern.test(path))
  return [...new Set(fitting.flatMap(({ methods }) => [...methods]))].sort()
}
