"""What work is: thin functions of a pack of jobs and the ports; they know no broker."""
