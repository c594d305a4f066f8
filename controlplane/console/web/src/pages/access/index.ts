export { KeysPage } from './KeysPage';
export { KeyPage } from './KeyPage';
export { TeamsPage } from './TeamsPage';
export { TeamPage } from './TeamPage';
export { SecretsPage } from './SecretsPage';
export { SecretPage } from './SecretPage';
