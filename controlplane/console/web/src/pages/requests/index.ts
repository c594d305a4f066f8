export { RequestsPage } from './RequestsPage';
export { RequestPage } from './RequestPage';
export { RequestList } from './RequestList';
