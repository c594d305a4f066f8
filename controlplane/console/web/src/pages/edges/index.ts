export { EdgesPage } from './EdgesPage';
export { EdgePage } from './EdgePage';
