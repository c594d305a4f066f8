// Keyed traffic on every edge, in one of three shapes: does the whole path hold, and is each answer what a caller should get? Not a
// measurement of speed: the thresholds are generous, machines differ.
//
//   GATEWAYS  comma-separated base URLs of the edges
//   KEY       a key that may call /load
//   SHAPE     steady: the same rate all the time; spike: five times the rate for a quarter of it; soak: a mixture of small, large and
//             streamed answers
//   RATE      requests a second in all (100), DURATION of the run (15s), SECONDS the same as a number
import http from 'k6/http'
import { check } from 'k6'
import { Counter } from 'k6/metrics'

const gateways = __ENV.GATEWAYS.split(',')
const rate = Number(__ENV.RATE || 100)
const seconds = Number(__ENV.SECONDS || 15)
const shape = __ENV.SHAPE || 'steady'
const paid = new Counter('paid_requests')
const large = 'x'.repeat(100 * 1024)

// Made before the run, enough for answers of half a second: one that is missing at its time is a request that is not sent.
const callers = { preAllocatedVUs: Math.max(50, rate), maxVUs: Math.max(200, rate * 5) }

const shapes = {
  steady: { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: __ENV.DURATION, ...callers },
  soak: { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: __ENV.DURATION, ...callers },
  spike: {
    executor: 'ramping-arrival-rate',
    startRate: rate,
    timeUnit: '1s',
    stages: [
      { target: rate, duration: `${Math.ceil(seconds * 0.35)}s` },
      { target: rate * 5, duration: '1s' },
      { target: rate * 5, duration: `${Math.ceil(seconds * 0.25)}s` },
      { target: rate, duration: '1s' },
      { target: rate, duration: `${Math.ceil(seconds * 0.35)}s` },
    ],
    preAllocatedVUs: Math.max(100, rate * 2),
    maxVUs: Math.max(400, rate * 5),
  },
}

export const options = {
  scenarios: { [shape]: shapes[shape] },
  thresholds: {
    checks: ['rate==1.0'],
    http_req_failed: ['rate==0'],
    'http_req_duration{kind:short}': [shape === 'spike' ? 'p(99)<3000' : 'p(95)<500'],
    dropped_iterations: [shape === 'spike' ? `count<${Math.ceil(rate * seconds * 0.02)}` : 'count==0'],
  },
}

export default function () {
  const gateway = gateways[Math.floor(Math.random() * gateways.length)]
  const kind = shape === 'soak' ? Math.random() : 0
  if (kind > 0.98) return stream(gateway)
  const body = JSON.stringify({ prompt: kind > 0.9 ? large : 'a book', n: __ITER })
  const answer = http.post(`${gateway}/load/v1/echo?n=${__ITER}`, body, {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' },
    tags: { kind: 'short' },
  })
  const ok = check(answer, {
    'is 200': (r) => r.status === 200,
    'echoes the body': (r) => r.body === body,
    'names its cost': (r) => r.headers['X-Tollgate-Cost'] === '0.0025',
  })
  if (ok) paid.add(1)
}

function stream(gateway) {
  const answer = http.post(`${gateway}/load/v1/events`, '{}', {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' },
    tags: { kind: 'stream' },
  })
  if (check(answer, { 'the stream is whole': (r) => r.status === 200 && r.body.endsWith('data: [DONE]\n\n') })) paid.add(1)
}
