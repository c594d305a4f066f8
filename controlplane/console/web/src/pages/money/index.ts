export { BudgetsPage } from './BudgetsPage';
export { BudgetPage } from './BudgetPage';
export { UsagePage } from './UsagePage';
