export { AuditPage } from './AuditPage';
export { AuditEntryPage } from './AuditEntryPage';
