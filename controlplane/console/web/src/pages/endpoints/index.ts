export { EndpointsPage } from './EndpointsPage';
export { NewEndpointPage } from './NewEndpointPage';
export { EndpointPage } from './EndpointPage';
