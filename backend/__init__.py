"""The FastAPI application, durable jobs, storage, reports and the command line around the science in `analysis`."""
