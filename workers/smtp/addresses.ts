import { domainToASCII } from 'node:url'
import parse from 'nodemailer/lib/addressparser'
import { TaskError } from '../../src/task/worker.ts'

const MAX_ADDRESS_LENGTH = 320
const SHOWN_LENGTH = 120
const HOST = /^[\p{L}\p{N}\p{M}_](?:[\p{L}\p{N}\p{M}_.-]*[\p{L}\p{N}\p{M}_])?$/u
const LITERAL = /^\[(?:IPv6:)?[0-9a-f.:]+\]$/i

/** A name, which may be empty, and an address, as `Ada <ada@example.com>` has them. */
export interface Mailbox {
  name: string
  address: string
}

/** @throws {@link TaskError} `invalid-address` */
export function senderOf(text: string): Mailbox {
  const [sender, ...others] = mailboxesOf(text, 'from')
  if (sender === undefined || others.length > 0) throw invalid('from', text, 'it must be one')
  return sender
}

/**
 * The recipients of a field: a text may hold several, each element of a list holds one.
 *
 * @throws {@link TaskError} `invalid-address`
 */
export function recipientsOf(value: string | string[] | undefined, field: string): Mailbox[] {
  if (value === undefined) return []
  if (typeof value === 'string') return mailboxesOf(value, field)
  return value.map((text) => {
    const [mailbox, ...others] = mailboxesOf(text, field)
    if (mailbox === undefined || others.length > 0)
      throw invalid(field, text, 'an element of a list must be one')
    return mailbox
  })
}

function mailboxesOf(text: string, field: string): Mailbox[] {
  const mailboxes = parse(text).map((entry) => {
    if (entry.group !== undefined) throw invalid(field, text, 'groups have no address')
    // The parser makes sense of whatever it gets: of `john doe@example.com` it makes another's address.
    if (entry.name !== '' && !text.includes(`<${entry.address}>`))
      throw invalid(field, text, 'put the address between < and >, or names with marks in quotes')
    checkAddress(entry.address, field, text)
    return { name: entry.name, address: entry.address }
  })
  if (mailboxes.length === 0) throw invalid(field, text, 'there is none in it')
  const brackets = text.replace(/"(?:[^"\\]|\\.)*"/g, '').split('<').length - 1
  if (brackets > mailboxes.length) throw invalid(field, text, 'separate them by commas')
  return mailboxes
}

function checkAddress(address: string, field: string, text: string): void {
  const at = address.lastIndexOf('@')
  const domain = address.slice(at + 1)
  if (at < 1 || address.length > MAX_ADDRESS_LENGTH || /[<>\p{Cc}]/u.test(address))
    throw invalid(field, text, 'an address has the form name@domain')
  if (LITERAL.test(domain)) return
  if (!HOST.test(domain) || domain.includes('..') || domainToASCII(domain) === '')
    throw invalid(field, text, `${JSON.stringify(domain.slice(0, SHOWN_LENGTH))} is no domain`)
}

function invalid(field: string, text: string, why: string): TaskError {
  const shown = text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text
  return new TaskError(
    'invalid-address',
    `Nothing was sent: ${field} is ${JSON.stringify(shown)}, which is no valid address: ${why}.`,
    { retryable: false },
  )
}
