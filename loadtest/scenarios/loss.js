// Keyed traffic through a balancer, while one of its edges is killed with -9 and started again: does every request that another edge can
// serve succeed? What the edge had at that moment is lost, and the balancer says so.
//
//   GATEWAYS  the base URL of the balancer
//   KEY       a key that may call /load
//   RATE      requests a second in all (100), DURATION of the run (20s)
import http from 'k6/http'
import { check } from 'k6'
import { Counter } from 'k6/metrics'

const gateway = __ENV.GATEWAYS
const rate = Number(__ENV.RATE || 100)
const paid = new Counter('paid_requests')
const lost = new Counter('lost_requests')

// What was lost is counted, and held to what the edge had.
http.setResponseCallback(http.expectedStatuses(200, 502))

export const options = {
  scenarios: {
    keyed: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: __ENV.DURATION || '20s',
      preAllocatedVUs: Math.max(50, rate),
      maxVUs: Math.max(200, rate * 2),
    },
  },
  thresholds: {
    checks: ['rate==1.0'],
    http_req_failed: ['rate==0'],
    'http_req_duration{kind:short}': ['p(95)<500'],
    dropped_iterations: ['count==0'],
  },
}

// Some take a while at the vendor, so that the edge has requests whenever it is killed.
export default function () {
  const slow = Math.random() < 0.2
  const body = JSON.stringify({ prompt: 'a book', n: __ITER })
  const answer = http.post(`${gateway}/load/v1/${slow ? 'slow' : 'echo'}`, body, {
    headers: { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' },
    tags: { kind: slow ? 'slow' : 'short' },
  })
  if (answer.status === 502 && answer.headers['X-Load-Lost'] === '1') {
    lost.add(1)
    return
  }
  const ok = check(answer, {
    'is 200': (r) => r.status === 200,
    'echoes the body': (r) => r.body === body,
    'names its cost': (r) => r.headers['X-Tollgate-Cost'] === '0.0025',
  })
  if (ok) paid.add(1)
}
