// Keyed traffic on every edge at a steady rate: does the whole path hold together, and is each answer
// what a caller should get? Not a measurement of speed: the thresholds are generous, machines differ.
//
//   GATEWAYS  comma-separated base URLs of the edges
//   KEY       a key that may call /load
//   RATE      requests a second in all (100), DURATION of the run (15s)
import http from 'k6/http'
import { check } from 'k6'
import { Counter } from 'k6/metrics'

const gateways = __ENV.GATEWAYS.split(',')
const rate = Number(__ENV.RATE || 100)
const paid = new Counter('paid_requests')

export const options = {
  scenarios: {
    keyed: {
      executor: 'constant-arrival-rate',
      rate: rate,
      timeUnit: '1s',
      duration: __ENV.DURATION || '15s',
      // Made before the run, enough for answers of half a second: one that is missing at its time is a
      // request that is not sent.
      preAllocatedVUs: Math.max(50, Math.ceil(rate / 2)),
      maxVUs: Math.max(200, rate),
    },
  },
  thresholds: {
    checks: ['rate==1.0'],
    http_req_failed: ['rate==0'],
    http_req_duration: ['p(95)<500'],
    dropped_iterations: ['count==0'],
  },
}

export default function () {
  const gateway = gateways[Math.floor(Math.random() * gateways.length)]
  const body = JSON.stringify({ prompt: 'a book', n: __ITER })
  const answer = http.post(`${gateway}/load/v1/echo?n=${__ITER}`, body, {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' },
  })
  const ok = check(answer, {
    'is 200': (r) => r.status === 200,
    'echoes the body': (r) => r.body === body,
    'names its cost': (r) => r.headers['X-Tollgate-Cost'] === '0.0025',
    'names the request': (r) => (r.headers['X-Tollgate-Request-Id'] || '').startsWith('req_'),
  })
  if (ok) paid.add(1)
}
