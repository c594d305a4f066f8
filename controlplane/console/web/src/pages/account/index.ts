export { AccountPage } from './AccountPage';
export { LoginPage } from './LoginPage';
export { SetupPage } from './SetupPage';
export { DevicePage } from './DevicePage';
