{{service}}
