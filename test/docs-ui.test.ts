import fastify from 'fastify'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type AppOptions, createApp, errand } from '../src/index.ts'
import { listen } from './app.ts'
import { launchChromium } from './chromium.ts'

// Installing the browser, where it has to be, takes most of it.
t.setTimeout(240_000)

/** Visits a page in which nothing may fail, and which may ask nobody but its own server. */
async function visit(
  t: Test,
  browser: Browser,
  url: string,
  look: (page: Page) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1_280, height: 1_600 }, ...options })
  t.teardown(() => page.close())
  page.setDefaultTimeout(15_000)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  page.on('requestfailed', (request) => faults.push(`${request.url()} failed`))
  page.on('request', (request) => {
    const isElsewhere = new URL(request.url()).origin !== new URL(url).origin
    if (request.url().startsWith('http') && isElsewhere) faults.push(`${request.url()} was asked`)
  })
  await page.goto(url)
  await look(page)
  t.same(faults, [], 'nothing failed in the page')
}

/** An operation of the page, opened and ready to be tried out. */
async function tryOut(page: Page, operationId: string): Promise<Locator> {
  const operation = page.locator(`[id^="operations-"][id$="-${operationId}"]`)
  await operation.locator('.opblock-summary-control').click()
  const button = operation.getByRole('button', { name: 'Try it out' })
  // It is on already where the page says so; then the button reads Cancel.
  const execute = operation.getByRole('button', { name: 'Execute' })
  await button.or(execute).first().waitFor()
  if (await button.isVisible()) await button.click()
  await execute.waitFor()
  return operation
}

interface Answer {
  status: string
  body: { [member: string]: unknown }
}

/** Executes an operation and reads, as a user would, the status and the body of the answer. */
async function execute(operation: Locator): Promise<Answer> {
  await operation.getByRole('button', { name: 'Execute' }).click()
  const row = operation.locator('.live-responses-table tbody tr.response').first()
  await row.waitFor()
  const status = (await row.locator('.response-col_status').innerText()).trim().split('\n')[0] ?? ''
  const text = await row.locator('.highlight-code code, .highlight-code pre').first().innerText()
  return { status, body: JSON.parse(text) }
}

function parameter(operation: Locator, name: string): Locator {
  return operation.locator(`tr[data-param-name="${name}"] :is(input, textarea)`)
}

async function readInput(operation: Locator): Promise<unknown> {
  return JSON.parse(await operation.locator('textarea.body-param__text').inputValue())
}

async function serve(t: Test, options: AppOptions = {}): Promise<string> {
  const app = await createApp({ logLevel: 'silent', graceMs: 0, ...options })
  t.teardown(() => app.close())
  return listen(app)
}

t.test('the documentation in a browser', async (t) => {
  const browser = await launchChromium(t)
  if (browser === undefined) return

  t.test('a task is submitted from it, and its result read', async (t) => {
    await visit(t, browser, `${await serve(t)}/docs`, async (page) => {
      const submit = await tryOut(page, 'submit-sleeper')
      t.same(await readInput(submit), { durationMs: 1_000 }, "the input is the worker's example")
      await submit.locator('textarea.body-param__text').fill('{ "durationMs": 50 }')
      const accepted = await execute(submit)
      t.equal(accepted.status, '202')
      t.match(accepted.body, { worker: 'sleeper', status: 'queued' })
      const id = String(accepted.body.id)
      t.match(id, /^[\w-]{21}$/)
      const read = await tryOut(page, 'getTaskResult')
      await parameter(read, 'id').fill(id)
      await parameter(read, 'wait').fill('5')
      const result = await execute(read)
      t.equal(result.status, '200')
      t.match(result.body, { id, status: 'completed', output: { sleptMs: Number } })
    })
  })

  t.test('with wait, the answer to the submit is the result', async (t) => {
    await visit(t, browser, `${await serve(t)}/docs`, async (page) => {
      const submit = await tryOut(page, 'submit-sleeper')
      await submit.locator('textarea.body-param__text').fill('{ "durationMs": 50 }')
      await parameter(submit, 'wait').fill('5')
      const settled = await execute(submit)
      t.equal(settled.status, '200')
      t.match(settled.body, { status: 'completed', output: { sleptMs: Number } })
    })
  })

  t.test('a worker without an input is submitted as it stands', async (t) => {
    await visit(t, browser, `${await serve(t)}/docs`, async (page) => {
      const submit = await tryOut(page, 'submit-ifconfig')
      await parameter(submit, 'wait').fill('5')
      const settled = await execute(submit)
      t.equal(settled.status, '200')
      t.match(settled.body, { status: 'completed', output: { Interfaces: Array } })
    })
  })

  t.test('with a key as the password, it is opened and submits', async (t) => {
    const apiKey = 'a-key-of-the-test'
    const url = await serve(t, { apiKey })
    const submit = async (page: Page) => {
      const operation = await tryOut(page, 'submit-ifconfig')
      await parameter(operation, 'wait').fill('5')
      t.match(await execute(operation), { status: '200', body: { status: 'completed' } })
    }
    const httpCredentials = { username: 'anybody', password: apiKey }
    for (const path of ['/docs', '/docs/'])
      await visit(t, browser, `${url}${path}`, submit, { httpCredentials })
  })

  t.test('below a prefix, it speaks to what is below the prefix', async (t) => {
    const app = fastify()
    t.teardown(() => app.close())
    await app.register(errand, { prefix: '/errands', graceMs: 0 })
    await visit(t, browser, `${await listen(app)}/errands/docs`, async (page) => {
      const submit = await tryOut(page, 'submit-ifconfig')
      t.equal((await execute(submit)).status, '202')
    })
  })
})
