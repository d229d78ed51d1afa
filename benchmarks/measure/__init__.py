"""From what is to be measured to a raw report: candidates in processes of their own, and the machine meanwhile."""
