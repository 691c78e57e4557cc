-- Which directory of organizations may sign in through an app; null where nothing was said.
alter table apps add column tenant text;

-- What a provider wants proved at the next sign-in (a claims challenge), until the account is connected again.
alter table connections add column claims text;
